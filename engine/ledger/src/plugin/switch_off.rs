//! The evidence for which the server switches a plugin off.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The behaviour for which a plugin is switched off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum SwitchOffReason {
    /// Most of its calls, by several callers, ended in a fault.
    Faults,
    /// Most of its calls, by several callers, reached the deadline while they used the processor.
    Deadlines,
    /// All of the latest runs of a schedule have failed.
    Schedule {
        /// The name of the schedule.
        schedule: String,
    },
}

/// The counts of calls for which a plugin is switched off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchOffEvidence {
    /// The behaviour.
    #[serde(flatten)]
    pub reason: SwitchOffReason,
    /// The number of calls.
    pub calls: u32,
    /// The number of calls that ended in a fault.
    pub faults: u32,
    /// The number of calls that reached the deadline.
    pub deadlines: u32,
    /// The number of different callers of the failed calls, at least.
    pub callers: u32,
    /// The processor time of the failed calls, in milliseconds.
    pub cpu_ms: u64,
}

/// A switch-off that is in effect until the plugin is enabled again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActiveSwitchOff {
    /// The evidence.
    #[serde(flatten)]
    pub why: SwitchOffEvidence,
    /// The time of the switch-off.
    pub at: Timestamp,
}

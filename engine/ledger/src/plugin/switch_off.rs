//! The reason that the server has switched a plugin off by itself, with what was counted: kept for the
//! operator.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The behaviour that a plugin kept up until it was switched off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum SwitchOffReason {
    /// Most of its calls, by several callers, ended in a fault.
    Faults,
    /// Most of its calls, by several callers, ran into the deadline while it used the processor.
    Deadlines,
    /// One of its schedules has failed in every one of its latest runs.
    Schedule {
        /// The schedule.
        schedule: String,
    },
}

/// The calls for which a plugin is switched off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchOffEvidence {
    /// The behaviour that it kept up.
    #[serde(flatten)]
    pub reason: SwitchOffReason,
    /// Calls that were counted.
    pub calls: u32,
    /// Calls among them that ended in a fault.
    pub faults: u32,
    /// Calls among them that ran into the deadline.
    pub deadlines: u32,
    /// Callers of those that failed; at least so many.
    pub callers: u32,
    /// Processor time of the calls that failed, in milliseconds.
    pub cpu_ms: u64,
}

/// A plugin's being switched off, as the books keep it until the plugin is switched on again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActiveSwitchOff {
    /// The reason.
    #[serde(flatten)]
    pub why: SwitchOffEvidence,
    /// Since when.
    pub at: Timestamp,
}

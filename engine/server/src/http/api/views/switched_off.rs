//! Response bodies about plugins that the server disabled.

use bursar_ledger::{Plugin, SwitchOffReason, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// The reason for which the server disabled a plugin. A PUT with `enabled: true` enables it again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SwitchedOff")]
pub(crate) struct SwitchedOffView<'a> {
    reason: ReasonView,
    /// The schedule that fails repeatedly.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    /// The counts; absent for `broken_draws`, which `broken_draws` of the plugin counts.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counted: Option<CountedView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SwitchOffReason")]
enum ReasonView {
    /// Most of its calls, by several callers, ended in a fault.
    Faults,
    /// Most of its calls, by several callers, reached the deadline while they used the processor.
    Deadlines,
    /// All of the latest runs of one schedule failed.
    Schedule,
    /// Three of its calls failed after a draw.
    BrokenDraws,
}

/// The calls for which the server disabled a plugin.
#[derive(Serialize, JsonSchema)]
struct CountedView {
    /// The number of calls that were considered.
    calls: u32,
    /// The calls among them that ended in a fault.
    faults: u32,
    /// The calls among them that reached the deadline.
    deadlines: u32,
    /// The number of different callers of failed calls, or a lower bound of it. 0 for a schedule.
    callers: u32,
    /// The processor time of the failed calls, in milliseconds; each fault counts as at least 5.
    cpu_ms: u64,
    #[schemars(with = "schemas::Timestamp")]
    at: Timestamp,
}

pub(crate) fn switched_off(plugin: &Plugin) -> Option<SwitchedOffView<'_>> {
    if !plugin.was_switched_off() {
        return None;
    }
    let Some(off) = plugin.switched_off.as_deref() else {
        return Some(SwitchedOffView {
            reason: ReasonView::BrokenDraws,
            schedule: None,
            counted: None,
        });
    };
    let (reason, schedule) = match &off.why.reason {
        SwitchOffReason::Faults => (ReasonView::Faults, None),
        SwitchOffReason::Deadlines => (ReasonView::Deadlines, None),
        SwitchOffReason::Schedule { schedule } => (ReasonView::Schedule, Some(schedule.as_str())),
    };
    Some(SwitchedOffView {
        reason,
        schedule,
        counted: Some(CountedView {
            calls: off.why.calls,
            faults: off.why.faults,
            deadlines: off.why.deadlines,
            callers: off.why.callers,
            cpu_ms: off.why.cpu_ms,
            at: off.at,
        }),
    })
}

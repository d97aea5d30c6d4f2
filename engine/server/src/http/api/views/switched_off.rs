//! The reason for which the server itself has switched a plugin off.

use bursar_ledger::{Plugin, SwitchOffReason, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// The reason for which the server has switched a plugin off, until `enabled: true` is PUT again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SwitchedOff")]
pub(crate) struct SwitchedOffView<'a> {
    reason: ReasonView,
    /// The schedule that keeps failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    /// The counts; absent for draws, which `broken_draws` counts.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counted: Option<CountedView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SwitchOffReason")]
enum ReasonView {
    /// Most of its calls, by several callers, ended in a fault.
    Faults,
    /// Most of its calls, by several callers, ran into the deadline while it used the processor.
    Deadlines,
    /// One of its schedules has failed in each of its latest runs.
    Schedule,
    /// Its calls have drawn and then broken off.
    BrokenDraws,
}

/// The calls for which a plugin was switched off.
#[derive(Serialize, JsonSchema)]
struct CountedView {
    /// Calls that were counted.
    calls: u32,
    /// Calls among them that ended in a fault.
    faults: u32,
    /// Calls among them that ran into the deadline.
    deadlines: u32,
    /// Callers of those that failed; at least so many. A schedule has none.
    callers: u32,
    /// Processor time of those that failed, in milliseconds; a fault counts as 5 at least.
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

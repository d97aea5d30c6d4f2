//! Decisions on schedules: due times, runs and skipped runs. Each due time has exactly one run that counts.

use std::collections::BTreeMap;

use crate::books::Books;
use crate::call::request::CallRequest;
use crate::decision::{Change, Decision};
use crate::id::PluginName;
use crate::plugin::installation::{Installation, PluginPatch};
use crate::plugin::schedule::{Schedule, ScheduleRule};
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::verdict::Verdict;

/// Returns the schedules of an installation after a patch. Schedules whose times stay keep their next due
/// time, unless the plugin was off: due times of that period do not count.
pub(super) fn resolve_schedules(
    at: Timestamp,
    plugin: &PluginName,
    patch: &PluginPatch,
    present: Option<&Installation>,
    enabled: bool,
) -> Result<BTreeMap<String, Schedule>, Rejection> {
    let before = present.map(|present| &present.schedules);
    let mut rules: BTreeMap<String, ScheduleRule> = match (&patch.component, before) {
        (Some(choice), _) => choice.schedules.clone(),
        (None, Some(before)) => {
            let rules = before.iter();
            rules
                .map(|(name, schedule)| (name.clone(), schedule.rule))
                .collect()
        }
        (None, None) => BTreeMap::new(),
    };
    for (name, times) in &patch.schedules {
        let rule = rules
            .get_mut(name)
            .ok_or_else(|| Rejection::ScheduleUnknown {
                plugin: plugin.clone(),
                schedule: name.clone(),
            })?;
        rule.times = *times;
    }
    let was_running = present.is_some_and(|present| present.enabled) || !enabled;
    let schedules = rules.into_iter().map(|(name, rule)| {
        let earlier = before.and_then(|before| before.get(&name));
        let earlier = earlier.filter(|earlier| earlier.rule.times == rule.times && was_running);
        let next_due =
            earlier.map_or_else(|| rule.times.next_after(at), |earlier| earlier.next_due);
        (name, Schedule { rule, next_due })
    });
    Ok(schedules.collect())
}

/// Returns the change that sets the next due time of a schedule after its run. Returns none if the run's due
/// time is not the present one.
pub(super) fn complete_run(books: &Books, at: Timestamp, request: &CallRequest) -> Option<Change> {
    let due = request.due?;
    let schedule = books.schedule(&request.plugin, &request.action)?;
    // The due time is part of the books, so two attempts cannot both complete a run, and no lease is
    // needed.
    if schedule.next_due != due || due > at {
        return None;
    }
    Some(Change::DueMoved {
        plugin: request.plugin.clone(),
        schedule: request.action.clone(),
        due,
        next_due: schedule.rule.times.next_after(due),
    })
}

/// Adds changes that move due times to the moments that a call requests.
///
/// A run of the schedule sets its own next due time. Other calls can only move it to an earlier moment:
/// otherwise members could postpone a run for ever by calling.
pub(super) fn wake(
    books: &Books,
    at: Timestamp,
    request: &CallRequest,
    requested: &BTreeMap<String, Timestamp>,
    changes: &mut Vec<Change>,
) {
    for (name, from) in requested {
        let Some(schedule) = books.schedule(&request.plugin, name) else {
            continue;
        };
        let requested_due = schedule.rule.times.first_from(*from, at);
        let own = changes.iter_mut().find_map(|change| {
            let Change::DueMoved {
                schedule, next_due, ..
            } = change
            else {
                return None;
            };
            (schedule == name).then_some(next_due)
        });
        if let Some(next_due) = own {
            *next_due = requested_due;
        } else if requested_due < schedule.next_due {
            changes.push(Change::DueMoved {
                plugin: request.plugin.clone(),
                schedule: name.clone(),
                due: schedule.next_due,
                next_due: requested_due,
            });
        }
    }
}

/// Decides which missed due times of a schedule are skipped: all of them, or those beyond the catch-up
/// limit.
pub(super) fn skip(books: &Books, at: Timestamp, plugin: &PluginName, name: &str) -> Verdict {
    let Some(schedule) = books.schedule(plugin, name) else {
        return Verdict::Unchanged;
    };
    let due = schedule.next_due;
    let next_due = schedule.first_wanted(at);
    if next_due == due {
        return Verdict::Unchanged;
    }
    let change = Change::DueMoved {
        plugin: plugin.clone(),
        schedule: name.into(),
        due,
        next_due,
    };
    Verdict::Applied(Decision::change(change, false))
}

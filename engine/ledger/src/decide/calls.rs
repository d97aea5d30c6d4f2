//! Decisions on results of plugins' calls.
//!
//! A call that has drawn always leaves a record. Otherwise a plugin or a member could discard a draw that
//! they lose by.

use crate::books::Books;
use crate::call::draft::Draft;
use crate::call::result::{CallEnding, CallResult};
use crate::decision::{Change, Decision};
use crate::draw::change::{DrawChange, DrawUse};
use crate::hold::HoldEnd;
use crate::id::PluginName;
use crate::limits::BROKEN_DRAWS_MAX;
use crate::plugin::installation::Plugin;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::schedules;
use super::verdict::Verdict;

/// Decides the result of a call.
///
/// The call commits only if everything it has read is unchanged. This is checked for every ending, because
/// a decline or a fault may be based on outdated reads too.
pub(super) fn call(
    books: &Books,
    at: Timestamp,
    result: &CallResult,
) -> Result<Verdict, Rejection> {
    if let Some(origin) = &result.origin
        && !books.may_draw(&result.request, origin)
    {
        return Ok(Verdict::Stale);
    }
    match &result.ending {
        CallEnding::Broken { by_plugin, .. } => Ok(broken(books, result, *by_plugin)),
        CallEnding::NotRun(then) => not_run(books, at, result, then),
        CallEnding::Replied { .. }
        | CallEnding::Declined { .. }
        | CallEnding::Faulted { .. }
        | CallEnding::Stopped(_) => ended(books, at, result),
    }
}

/// Decides a call that did not start. It is rejected only if it could not start now for the same reason.
fn not_run(
    books: &Books,
    at: Timestamp,
    result: &CallResult,
    then: &Rejection,
) -> Result<Verdict, Rejection> {
    let request = &result.request;
    let ran = schedules::ran(books, at, request);
    if request.due.is_some() && ran.is_none() {
        return Ok(Verdict::Stale);
    }
    let now = match Draft::open(books, request, at) {
        Err(now) if now == *then => now,
        Err(_) | Ok(_) => return Ok(Verdict::Stale),
    };
    if ran.is_some() {
        // The due time stays due until the plugin can run, and the origin of an earlier try stays bound to
        // it.
        return rejected(now, drew_from(result, true).into_iter().collect());
    }
    rejected(now, drew(result))
}

/// Decides a call that has run.
fn ended(books: &Books, at: Timestamp, result: &CallResult) -> Result<Verdict, Rejection> {
    let request = &result.request;
    let ran = schedules::ran(books, at, request);
    if request.due.is_some() && ran.is_none() {
        // Another run of the schedule was committed first, or its times were changed.
        return Ok(Verdict::Stale);
    }
    let Ok(mut draft) = Draft::open(books, request, at) else {
        return Ok(Verdict::Stale);
    };
    if let Some(origin) = &result.origin {
        draft.draw_from(origin.clone());
    }
    if draft.component() != result.component || !draft.repeats(&result.transcript) {
        return Ok(Verdict::Stale);
    }
    let mut trace = drew(result);
    trace.extend(ran);
    match &result.ending {
        CallEnding::Replied { .. } => replied(books, at, &draft, result, trace),
        // The host reports a decline after a draw as a fault, so this guard fails only for a result that no
        // host has made.
        CallEnding::Declined { .. } if !draft.has_drawn() => Ok(Verdict::Declined(changed(trace))),
        CallEnding::Stopped(then) if result.transcript.ended_by() == Some(then) => {
            rejected(then.clone(), trace)
        }
        CallEnding::Faulted { .. } => Ok(Verdict::Faulted(changed(void(&draft, result, trace)))),
        CallEnding::Declined { .. }
        | CallEnding::Stopped(_)
        | CallEnding::NotRun(_)
        | CallEnding::Broken { .. } => Ok(Verdict::Stale),
    }
}

/// Decides a call that replied: commits its requests if all rules of the ledger allow it.
///
/// The money was checked before the first draw. A rejection after a draw therefore concerns state beyond
/// the plugin's own quota, which is the plugin's fault.
fn replied(
    books: &Books,
    at: Timestamp,
    draft: &Draft,
    result: &CallResult,
    trace: Vec<Change>,
) -> Result<Verdict, Rejection> {
    match draft.settle() {
        Ok((movements, changes)) => {
            let mut changes = changes;
            changes.extend(marks(draft));
            changes.extend(draft.writes());
            changes.extend(draft.budgets_spent());
            changes.extend(trace);
            schedules::wake(books, at, &result.request, draft.wakes(), &mut changes);
            Ok(Verdict::Applied(Decision::new(movements, changes, true)))
        }
        Err(rejection) if draft.has_drawn() => rejected(rejection, void(draft, result, trace)),
        Err(rejection) => rejected(rejection, trace),
    }
}

/// Returns changes that mark open holds of a call with the server seed that it has drawn from. A seed stays
/// secret while such a hold is open.
fn marks(draft: &Draft) -> Vec<Change> {
    let Some(origin) = draft.origin().filter(|_| draft.has_drawn()) else {
        return Vec::new();
    };
    let seed = origin.seed;
    let open = draft.open_holds();
    let unmarked = open.filter(|(_, hold)| hold.seed.is_none_or(|first| first > seed));
    unmarked
        .map(|(hold, _)| Change::Draws(DrawChange::HoldDrew { hold, seed }))
        .collect()
}

/// Returns the change that marks the nonce of a call as used, if the call has drawn in any try.
fn drew(result: &CallResult) -> Vec<Change> {
    drew_from(result, false).into_iter().collect()
}

fn drew_from(result: &CallResult, bound: bool) -> Option<Change> {
    let origin = result.origin.clone()?;
    let (key, draws) = (result.request.draw_key(), result.transcript.draws());
    let drew = DrawUse {
        origin,
        draws,
        bound,
    };
    Some(Change::Draws(DrawChange::Drew { key, drew }))
}

/// Adds the changes of a call that failed after a draw. Its secured holds are released, so that no one
/// keeps a stake of a void round, and the failure is counted.
fn void(draft: &Draft, result: &CallResult, mut changes: Vec<Change>) -> Vec<Change> {
    if !draft.has_drawn() {
        return changes;
    }
    let secured = draft.secured_holds();
    changes.extend(secured.map(|(hold, _)| Change::HoldEnded {
        hold,
        end: HoldEnd::Released,
    }));
    changes.push(break_off(draft.plugin(), &result.request.plugin));
    changes
}

/// Returns the change that counts a failure after a draw. The plugin is switched off at
/// [`BROKEN_DRAWS_MAX`].
fn break_off(plugin: &Plugin, id: &PluginName) -> Change {
    let broken = plugin.broken_draws.saturating_add(1);
    Change::Draws(DrawChange::DrawBroken {
        plugin: id.clone(),
        paused: broken >= BROKEN_DRAWS_MAX,
    })
}

/// Decides a call that has drawn and did not complete.
///
/// Only its draws are recorded, so only they are verified. A failure that the plugin may have caused counts
/// like a fault.
fn broken(books: &Books, result: &CallResult, by_plugin: bool) -> Verdict {
    let draws_hold = result.origin.as_ref().is_some_and(|origin| {
        let server_seed = books.seed().server_seed(origin.seed);
        let transcript = &result.transcript;
        transcript.draws_from(&server_seed, &result.component, origin)
    });
    if !draws_hold {
        return Verdict::Stale;
    }
    let id = &result.request.plugin;
    let blamed = books.plugin(id).filter(|_| by_plugin);
    let counted = blamed.map(|plugin| break_off(plugin, id));
    let changes = drew_from(result, true).into_iter().chain(counted);
    Verdict::Broken(changed(changes.collect()))
}

fn changed(changes: Vec<Change>) -> Decision {
    Decision::new(Vec::new(), changes, false)
}

fn rejected(rejection: Rejection, changes: Vec<Change>) -> Result<Verdict, Rejection> {
    if changes.is_empty() {
        return Err(rejection);
    }
    Ok(Verdict::RejectedWith(rejection, changed(changes)))
}

//! Decisions on results of plugins' calls.
//!
//! A call that has drawn always leaves a record. Otherwise a plugin or a member could discard a draw that
//! they lose by.

use crate::books::Books;
use crate::call::draft::{Draft, check_start};
use crate::call::request::CallRequest;
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

/// A draft over the books and the request of an act.
type BorrowedDraft<'a> = Draft<&'a Books, &'a CallRequest>;

/// Decides the result of a call.
///
/// The call commits only if everything it has read is unchanged. This is checked for every ending, because
/// a decline or a fault may be based on outdated reads too.
pub(super) fn call(
    books: &Books,
    at: Timestamp,
    result: &CallResult,
) -> Result<Verdict, Rejection> {
    // While the call ran, its nonce may have been burned, or its seed revealed: draws from a public seed
    // could have been predicted.
    if let Some(origin) = &result.origin
        && !books.may_draw(&result.request, origin)
    {
        return Ok(Verdict::Stale);
    }
    match &result.ending {
        CallEnding::Broken { by_plugin, .. } => Ok(incomplete(books, result, *by_plugin)),
        CallEnding::NotRun(recorded) => not_run(books, at, result, recorded),
        CallEnding::Replied { .. }
        | CallEnding::Declined { .. }
        | CallEnding::Faulted { .. }
        | CallEnding::Stopped(_) => completed(books, at, result),
    }
}

/// Decides a call that did not start. It is rejected only if it could not start now for the same reason.
fn not_run(
    books: &Books,
    at: Timestamp,
    result: &CallResult,
    recorded: &Rejection,
) -> Result<Verdict, Rejection> {
    let request = &result.request;
    let run = schedules::complete_run(books, at, request);
    if request.due.is_some() && run.is_none() {
        return Ok(Verdict::Stale);
    }
    let present = match check_start(books, request) {
        Err(present) if present == *recorded => present,
        Err(_) | Ok(_) => return Ok(Verdict::Stale),
    };
    if run.is_some() {
        // The due time stays due until the plugin can run, and the origin of an earlier attempt stays
        // bound to it.
        return rejected(present, draw_use(result, true).into_iter().collect());
    }
    rejected(present, draw_effects(result))
}

/// Decides a call that has run.
fn completed(books: &Books, at: Timestamp, result: &CallResult) -> Result<Verdict, Rejection> {
    let request = &result.request;
    let run = schedules::complete_run(books, at, request);
    if request.due.is_some() && run.is_none() {
        // Another run of the schedule was committed first, or its times were changed.
        return Ok(Verdict::Stale);
    }
    // The draft reads the books as of the commit, not as of the start of the call: a hold that has expired
    // in between is no longer open, and budgets count on the day of the commit.
    let Ok(mut draft) = Draft::open(books, request, at) else {
        return Ok(Verdict::Stale);
    };
    if let Some(origin) = &result.origin {
        draft.draw_from(origin.clone());
    }
    if draft.component() != result.component || !draft.repeats(&result.transcript) {
        return Ok(Verdict::Stale);
    }
    let mut effects = draw_effects(result);
    effects.extend(run);
    match &result.ending {
        CallEnding::Replied { .. } => replied(books, at, &draft, result, effects),
        // The host reports a decline after a draw as a fault, so this guard fails only for a result that no
        // host has made.
        CallEnding::Declined { .. } if !draft.has_drawn() => {
            Ok(Verdict::Declined(decision_of(effects)))
        }
        CallEnding::Stopped(recorded) if result.transcript.ending_rejection() == Some(recorded) => {
            rejected(recorded.clone(), effects)
        }
        CallEnding::Faulted { .. } => Ok(Verdict::Faulted(decision_of(void_round(
            &draft, result, effects,
        )))),
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
    draft: &BorrowedDraft<'_>,
    result: &CallResult,
    effects: Vec<Change>,
) -> Result<Verdict, Rejection> {
    match draft.settle() {
        Ok((movements, changes)) => {
            let mut changes = changes;
            // Marks follow the changes that place the holds, because a record is applied in this order.
            changes.extend(mark_holds(draft));
            changes.extend(draft.writes());
            changes.extend(draft.budgets_spent());
            changes.extend(effects);
            schedules::wake(books, at, &result.request, draft.wakes(), &mut changes);
            Ok(Verdict::Applied(Decision::new(movements, changes, true)))
        }
        Err(rejection) if draft.has_drawn() => {
            rejected(rejection, void_round(draft, result, effects))
        }
        Err(rejection) => rejected(rejection, effects),
    }
}

/// Returns changes that mark open holds of a call with the server seed that it has drawn from. A seed stays
/// secret while such a hold is open.
fn mark_holds(draft: &BorrowedDraft<'_>) -> Vec<Change> {
    let Some(origin) = draft.origin().filter(|_| draft.has_drawn()) else {
        return Vec::new();
    };
    let seed = origin.seed;
    let open = draft.open_holds();
    let to_mark = open.filter(|(_, hold)| hold.seed.is_none_or(|first| first > seed));
    to_mark
        .map(|(hold, _)| Change::Draws(DrawChange::HoldDrew { hold, seed }))
        .collect()
}

/// Returns the change that marks the nonce of a call as used, if the call has drawn in any attempt.
fn draw_effects(result: &CallResult) -> Vec<Change> {
    draw_use(result, false).into_iter().collect()
}

fn draw_use(result: &CallResult, bound: bool) -> Option<Change> {
    let origin = result.origin.clone()?;
    let key = result.request.draw_key();
    let draws = result.transcript.draws();
    let drew = DrawUse {
        origin,
        draws,
        bound,
    };
    Some(Change::Draws(DrawChange::Drew { key, drew }))
}

/// Adds the changes of a call that failed after a draw. Its secured holds are released, so that no one
/// keeps a stake of a void round, and the failure is counted.
fn void_round(
    draft: &BorrowedDraft<'_>,
    result: &CallResult,
    mut changes: Vec<Change>,
) -> Vec<Change> {
    if !draft.has_drawn() {
        return changes;
    }
    let secured = draft.earlier_secured_holds();
    changes.extend(secured.map(|(hold, _)| Change::HoldEnded {
        hold,
        end: HoldEnd::Released,
    }));
    changes.push(count_failure(draft.plugin(), &result.request.plugin));
    changes
}

/// Returns the change that counts a failure after a draw. The plugin is switched off at
/// [`BROKEN_DRAWS_MAX`].
fn count_failure(plugin: &Plugin, id: &PluginName) -> Change {
    let failures = plugin.broken_draws.saturating_add(1);
    Change::Draws(DrawChange::DrawBroken {
        plugin: id.clone(),
        paused: failures >= BROKEN_DRAWS_MAX,
    })
}

/// Decides a call that has drawn and did not complete.
///
/// Only its draws are recorded, so only they are verified. A failure that the plugin may have caused counts
/// like a fault.
fn incomplete(books: &Books, result: &CallResult, by_plugin: bool) -> Verdict {
    let draws_are_true = result.origin.as_ref().is_some_and(|origin| {
        let server_seed = books.seed().server_seed(origin.seed);
        let transcript = &result.transcript;
        transcript.draws_from(&server_seed, &result.component, origin)
    });
    if !draws_are_true {
        return Verdict::Stale;
    }
    let id = &result.request.plugin;
    // A busy machine or a shutdown does not count against a plugin, or members could switch games off.
    let plugin = books.plugin(id).filter(|_| by_plugin);
    let failure = plugin.map(|plugin| count_failure(plugin, id));
    let changes = draw_use(result, true).into_iter().chain(failure);
    Verdict::Broken(decision_of(changes.collect()))
}

fn decision_of(changes: Vec<Change>) -> Decision {
    Decision::new(Vec::new(), changes, false)
}

fn rejected(rejection: Rejection, changes: Vec<Change>) -> Result<Verdict, Rejection> {
    if changes.is_empty() {
        return Err(rejection);
    }
    Ok(Verdict::RejectedWith(rejection, decision_of(changes)))
}

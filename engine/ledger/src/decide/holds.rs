//! Decisions on holds: place, capture, release, expire.

use crate::act::{Authority, CaptureRequest, HoldRequest};
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::hold::{Hold, HoldEnd, OnExpiry};
use crate::id::HoldId;
use crate::quota::Quota;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::money::{check_authority, check_cap, post_all};
use super::verdict::Verdict;
use crate::working_balances::{Funds, WorkingBalances, check_accounts};

/// The pause before the first retry of a capture at expiry, in milliseconds.
const FIRST_DEFERRAL_MS: u64 = 60 * 1000;

/// The longest pause between retries of a capture at expiry, in milliseconds.
const LONGEST_DEFERRAL_MS: u64 = 24 * 60 * 60 * 1000;

/// Decides a new hold. Its amount must be spendable, as for a transfer.
pub(super) fn place(
    books: &Books,
    at: Timestamp,
    request: &HoldRequest,
) -> Result<Verdict, Rejection> {
    let postings = std::slice::from_ref(request.reservation.posting());
    check_authority(postings, request.authority)?;
    check_cap(request.cap.as_ref(), postings)?;
    check_accounts(books, postings, Funds::Spendable)?;
    books.check_more(Quota::Holds, books.holds_open(), 1)?;
    WorkingBalances::new(books).reserve(request.reservation.posting())?;
    // Nothing can fail from here on.
    let hold = request.id;
    let on_expiry = request.on_expiry;
    let placed = Hold::placed(&request.reservation, at, request.expires_in_s, on_expiry);
    let placed = Box::new(placed);
    let change = Change::HoldPlaced { hold, placed };
    Ok(Verdict::Applied(Decision::change(change, true)))
}

/// Decides a capture. An expired hold cannot be captured, even if its expiry is not recorded yet.
pub(super) fn capture(
    books: &Books,
    at: Timestamp,
    request: &CaptureRequest,
) -> Result<Verdict, Rejection> {
    let closed = |ended| Rejection::HoldClosed {
        hold: request.hold,
        ended,
    };
    let hold = books
        .hold(request.hold)
        .ok_or_else(|| closed(request.ended))?;
    // An expiry takes effect at its time and not with its record. Otherwise the result of a capture would
    // depend on how quickly the server records expiries.
    if hold.expires_at <= at {
        return Err(closed(Some(HoldEnd::Expired)));
    }
    check_owner(request.hold, hold, request.authority)?;
    let amount = request.amount.unwrap_or(hold.remaining);
    if amount > hold.remaining {
        return Err(Rejection::HoldExceeded {
            hold: request.hold,
            remaining: hold.remaining,
            amount,
        });
    }
    let captured = Change::HoldCaptured {
        hold: request.hold,
        amount,
    };
    let postings = [hold.reservation.part(amount)];
    check_cap(request.cap.as_ref(), &postings)?;
    post_all(books, &postings, Funds::Held, vec![captured], None)
}

/// Decides a release. An open hold can always be released by its owner: the amount never left the source.
pub(super) fn release(
    books: &Books,
    id: HoldId,
    ended: Option<HoldEnd>,
    authority: Authority,
) -> Result<Verdict, Rejection> {
    let closed = Rejection::HoldClosed { hold: id, ended };
    let hold = books.hold(id).ok_or(closed)?;
    check_owner(id, hold, authority)?;
    Ok(end(id, HoldEnd::Released))
}

/// Checks that the authority may end the hold. Holds of plugins, and of plugins' own accounts, need an
/// admin.
fn check_owner(id: HoldId, hold: &Hold, authority: Authority) -> Result<(), Rejection> {
    let reserved = std::slice::from_ref(hold.reservation.posting());
    check_authority(reserved, authority)?;
    match (&hold.plugin, authority) {
        (Some(plugin), Authority::Bot) => Err(Rejection::PluginHold {
            hold: id,
            plugin: plugin.clone(),
        }),
        (Some(_), Authority::Admin) | (None, Authority::Bot | Authority::Admin) => Ok(()),
    }
}

/// Decides the expiry of a hold. A capture that is rejected is retried at growing intervals; until then the
/// amount stays reserved.
pub(super) fn expire(books: &Books, at: Timestamp, id: HoldId) -> Result<Verdict, Rejection> {
    let closed = Rejection::HoldClosed {
        hold: id,
        ended: None,
    };
    let hold = books
        .hold(id)
        .filter(|hold| hold.due_at <= at)
        .ok_or(closed)?;
    let rule = if has_failed_plugin(books, hold) {
        OnExpiry::Release
    } else {
        hold.on_expiry
    };
    match rule {
        OnExpiry::Release => Ok(end(id, HoldEnd::Expired)),
        OnExpiry::Capture => {
            let ended = Change::HoldEnded {
                hold: id,
                end: HoldEnd::Expired,
            };
            let posting = hold.reservation.part(hold.remaining);
            let captured = post_all(books, &[posting], Funds::Held, vec![ended], None);
            Ok(captured.unwrap_or_else(|_| defer(id, hold, at)))
        }
    }
}

/// Returns true if the hold's plugin was switched off for its failures. No one can finish the game then, so
/// its players get their stakes back instead of losing them at expiry.
fn has_failed_plugin(books: &Books, hold: &Hold) -> bool {
    let plugin = hold.plugin.as_ref().and_then(|plugin| books.plugin(plugin));
    plugin.is_some_and(|plugin| plugin.was_switched_off())
}

fn end(hold: HoldId, end: HoldEnd) -> Verdict {
    Verdict::Applied(Decision::change(Change::HoldEnded { hold, end }, false))
}

fn defer(id: HoldId, hold: &Hold, at: Timestamp) -> Verdict {
    // The pause is the time since the expiry, so it doubles with each retry: a hold whose destination stays
    // closed adds few records.
    let overdue = at.0.saturating_sub(hold.expires_at.0);
    let pause = overdue.clamp(FIRST_DEFERRAL_MS, LONGEST_DEFERRAL_MS);
    let change = Change::HoldDeferred {
        hold: id,
        due_at: Timestamp(at.0.saturating_add(pause)),
    };
    Verdict::Applied(Decision::change(change, false))
}

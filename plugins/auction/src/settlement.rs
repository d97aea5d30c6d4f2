//! The settlement of lots that are over.
//!
//! Each lot waits for its next check under a key with the time of the check. A lot whose auction was extended is
//! found at its first end and waits again until its new end. A lot whose settlement is blocked waits again with
//! growing pauses. After a week the lot and the bid are released.

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;

use crate::config::Config;
use crate::debt::{self, Debt};
use crate::lot::{self, Lot, PlacedBid};
use crate::lots;
use crate::replies::{LotResult, SettleDueReply};
use crate::times::{QUIET_S, after};

/// The largest number of lots that one run checks. Each takes at most five of a call's 16 writes.
const LOTS_PER_RUN: usize = 3;

/// The name of the schedule that settles lots.
pub(crate) const SETTLE: &str = "settle_due";

/// The outcome of an attempt to settle a lot.
pub(crate) enum SettlementOutcome {
    /// The auction is over, and the lot is deleted.
    Over(LotResult),
    /// An account cannot pay or receive at the moment.
    Blocked,
}

/// Stores the key of a waiting lot, and wakes the schedule at the lot's next check.
pub(crate) fn schedule_check(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.set(&lots::waiting_key(lot.next_check_ms(), number), &number);
    Ok(call.wake(SETTLE, lot.next_check_ms())?)
}

/// Returns true if the whole lot is still held. This is no longer so once the hold has expired, or an admin has
/// ended the hold or captured a part of it.
pub(crate) fn is_available(call: &Call<Config>, lot: &Lot) -> bool {
    call.hold_left(lot.hold()) == Some(lot.amount())
}

/// Settles a lot whose time is over, or which is no longer available.
pub(crate) fn settle(
    call: &Call<Config>,
    number: u64,
    lot: &Lot,
) -> Result<SettlementOutcome, Decline> {
    // The lot is sold only if both holds are whole. Otherwise the rest of both is released.
    let sold = lot.highest().filter(|highest| {
        let left = call.hold_left(&highest.hold);
        is_available(call, lot) && left == Some(highest.amount)
    });
    let Some(highest) = sold else {
        release(call, number, lot)?;
        return Ok(SettlementOutcome::Over(LotResult::unsold()));
    };
    // Both accounts must be open and still have the amounts that are held. Otherwise the ledger would reject
    // the whole call, including the settlement of other lots.
    let holds = [lot.hold(), &highest.hold];
    if holds.iter().any(|hold| call.secure_hold(hold).is_err()) {
        if lot.is_given_up(call.now_ms()) {
            release(call, number, lot)?;
            return Ok(SettlementOutcome::Over(LotResult::unsold()));
        }
        return Ok(SettlementOutcome::Blocked);
    }
    exchange(call, number, lot, highest).map(SettlementOutcome::Over)
}

/// Moves the lot to the winner and the price to the seller, and deletes the lot.
fn exchange(
    call: &Call<Config>,
    number: u64,
    lot: &Lot,
    highest: &PlacedBid,
) -> Result<LotResult, Decline> {
    call.capture_hold(lot.hold(), None)?;
    call.capture_hold(&highest.hold, None)?;
    let bidder = &highest.bidder;
    let won = Debt::new(lot.asset(), lot.amount());
    let price = Debt::new(lot.bid_asset(), highest.amount);
    let mut to_collect = Vec::new();
    for (member, due) in [(bidder, won), (lot.seller(), price)] {
        if !pay(call, member, &due)? {
            call.set(&debt::key(member, number)?, &due);
            to_collect.push(member.clone());
        }
    }
    delete(call, number, lot)?;
    Ok(LotResult::sold(bidder, highest.amount, to_collect))
}

/// Pays a member from the plugin's account. Returns `false` if the member's account is full.
///
/// A hold for the member shows this at once. A transfer would be rejected only at the commit, together with the
/// rest of the call, so that one full account would block the settlement of all lots.
fn pay(call: &Call<Config>, member: &Account, due: &Debt) -> Result<bool, Decline> {
    let own = call.own_account();
    match call.place_hold("handover", &own, member, due.asset(), due.amount()) {
        Ok(hold) => {
            call.capture_hold(&hold, None)?;
            Ok(true)
        }
        Err(Refusal::NoRoom) => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Releases the lot and the highest bid, and deletes the lot.
pub(crate) fn release(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.release_if_open(lot.hold())?;
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    delete(call, number, lot)
}

/// Deletes a lot, and removes it from the open lots of its seller.
fn delete(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.delete(&lots::key(number));
    call.delete(&lots::waiting_key(lot.next_check_ms(), number));
    OpenList::close(call, &lots::open_key(lot.seller())?, number)
}

/// Checks the lots that are due and schedules the next run.
///
/// One run checks a few lots, since the writes of a call are limited.
pub(crate) fn settle_due(call: &Call<Config>) -> Result<SettleDueReply, Decline> {
    let now_ms = call.now_ms();
    let mut reply = SettleDueReply::default();
    for key in call
        .keys(lots::WAITING, None)
        .keys
        .iter()
        .take(LOTS_PER_RUN)
    {
        let (next_check_ms, number) = lots::parse_waiting_key(key)?;
        if next_check_ms > now_ms {
            break;
        }
        check_lot(call, number, key, &mut reply)?;
    }
    let waiting = call.keys(lots::WAITING, None).keys;
    let next = waiting.first().map(|key| lots::parse_waiting_key(key));
    let next_ms = next
        .transpose()?
        .map_or(u64::MAX, |(next_check_ms, _)| next_check_ms);
    call.wake(SETTLE, next_ms.min(after(now_ms, QUIET_S)))?;
    Ok(reply)
}

/// Checks one waiting lot: settles it, or lets it wait for its next check.
fn check_lot(
    call: &Call<Config>,
    number: u64,
    key: &str,
    reply: &mut SettleDueReply,
) -> Result<(), Decline> {
    let Some(mut lot) = call.get::<Lot>(&lots::key(number))? else {
        call.delete(key);
        return Ok(());
    };
    let now_ms = call.now_ms();
    if is_available(call, &lot) && lot.check_over(now_ms).is_err() {
        lot.check_at_end();
    } else {
        match settle(call, number, &lot)? {
            SettlementOutcome::Over(result) => {
                reply.add_settled(number, result);
                return Ok(());
            }
            SettlementOutcome::Blocked => {
                lot.try_again(now_ms);
                call.log(Level::Warn, &lot::blocked_line(number, &lot));
                reply.add_waiting(number);
            }
        }
    }
    call.delete(key);
    call.set(&lots::key(number), &lot);
    schedule_check(call, number, &lot)
}

//! What becomes of lots that are over, by themselves or by hand.
//!
//! Lots wait in the order in which they are to be looked at, each under a key with that time. A lot that
//! was prolonged is found at its first end and put back; one that cannot be settled yet is put back to be
//! tried again, later and later, and in the end both sides have their own back.

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;

use crate::replies::{Ended, Swept};
use crate::rules::{self, Config, Lot, Owed, Placed};

/// The schedule that settles lots.
pub(crate) const SETTLE: &str = "settle_due";

/// What came of trying to end an auction.
pub(crate) enum Outcome {
    /// It is over and forgotten.
    Over(Ended),
    /// An account can neither give nor take at the moment.
    Blocked,
}

/// Puts a lot in its place among those that wait, and sees to it that it is looked at in time.
pub(crate) fn file(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.set(&rules::waiting_key(lot.looked_at_ms(), number), &number);
    Ok(call.wake(SETTLE, lot.looked_at_ms())?)
}

/// Whether all of what is up for auction is still held for it. After its time, or when an admin has ended
/// its hold or captured a part, it is not.
pub(crate) fn is_there(call: &Call<Config>, lot: &Lot) -> bool {
    call.hold_left(lot.hold()) == Some(lot.amount())
}

/// Ends an auction whose time is over, or whose lot is gone.
pub(crate) fn end(call: &Call<Config>, number: u64, lot: &Lot) -> Result<Outcome, Decline> {
    // Both are there, whole, or neither moves, so that what is left of either side is free.
    let sold = lot.highest().filter(|highest| {
        let left = call.hold_left(&highest.hold);
        is_there(call, lot) && left == Some(highest.amount)
    });
    let Some(highest) = sold else {
        give_back(call, number, lot)?;
        return Ok(Outcome::Over(Ended::unsold()));
    };
    // Neither account may be closed to payments, nor have lost to an admin what is held on it. Otherwise
    // the ledger would refuse the call, and with it all that the call does for other lots.
    let holds = [lot.hold(), &highest.hold];
    if holds.iter().any(|hold| call.secure_hold(hold).is_err()) {
        if lot.is_given_up(call.now_ms()) {
            give_back(call, number, lot)?;
            return Ok(Outcome::Over(Ended::unsold()));
        }
        return Ok(Outcome::Blocked);
    }
    change_sides(call, number, lot, highest).map(Outcome::Over)
}

fn change_sides(
    call: &Call<Config>,
    number: u64,
    lot: &Lot,
    highest: &Placed,
) -> Result<Ended, Decline> {
    call.capture_hold(lot.hold(), None)?;
    call.capture_hold(&highest.hold, None)?;
    let bidder = &highest.bidder;
    let won = Owed::new(lot.asset(), lot.amount());
    let price = Owed::new(lot.bid_asset(), highest.amount);
    let mut owed = Vec::new();
    for (member, due) in [(bidder, won), (lot.seller(), price)] {
        if !hand_over(call, member, &due)? {
            call.set(&rules::owed_key(member, number)?, &due);
            owed.push(member.clone());
        }
    }
    forget(call, number, lot)?;
    Ok(Ended::sold(highest, owed))
}

/// Pays a member out of the plugin's account, if the member's account has room.
///
/// Whether it has shows when a hold for it is placed. A transfer would be refused at the commit only, with
/// all else that the call does: whoever fills its account could keep every lot from being settled.
fn hand_over(call: &Call<Config>, member: &Account, due: &Owed) -> Result<bool, Decline> {
    let house = call.own_account();
    match call.place_hold("handover", &house, member, due.asset(), due.amount()) {
        Ok(hold) => {
            call.capture_hold(&hold, None)?;
            Ok(true)
        }
        Err(Refusal::NoRoom) => Ok(false),
        Err(no) => Err(no.into()),
    }
}

/// Ends an auction in which nothing is sold: both sides have their own back.
pub(crate) fn give_back(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.release_if_open(lot.hold())?;
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    forget(call, number, lot)
}

/// Forgets a lot that is over, also among those that its seller has open.
fn forget(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.delete(&rules::key(number));
    call.delete(&rules::waiting_key(lot.looked_at_ms(), number));
    OpenList::close(call, &rules::open_key(lot.seller())?, number)
}

/// Looks at the lots whose time has come: a few in each run, since a call has only so many writes. The next
/// run is due when the next lot is.
pub(crate) fn sweep(call: &Call<Config>) -> Result<Swept, Decline> {
    let now_ms = call.now_ms();
    let mut swept = Swept::default();
    for key in call
        .keys(rules::WAITING, None)
        .keys
        .iter()
        .take(rules::SWEPT)
    {
        let (looked_at_ms, number) = rules::waiting(key)?;
        if looked_at_ms > now_ms {
            break;
        }
        look_at(call, number, key, &mut swept)?;
    }
    let waiting = call.keys(rules::WAITING, None).keys;
    let next = waiting.first().map(|key| rules::waiting(key)).transpose()?;
    let next_ms = next.map_or(u64::MAX, |(looked_at_ms, _)| looked_at_ms);
    call.wake(SETTLE, next_ms.min(rules::after(now_ms, rules::QUIET_S)))?;
    Ok(swept)
}

fn look_at(call: &Call<Config>, number: u64, key: &str, swept: &mut Swept) -> Result<(), Decline> {
    let Some(mut lot) = call.get::<Lot>(&rules::key(number))? else {
        call.delete(key);
        return Ok(());
    };
    let now_ms = call.now_ms();
    if is_there(call, &lot) && lot.check_over(now_ms).is_err() {
        lot.look_at_end();
    } else {
        match end(call, number, &lot)? {
            Outcome::Over(ended) => {
                swept.settled(number, ended);
                return Ok(());
            }
            Outcome::Blocked => {
                lot.try_again(now_ms);
                call.log(Level::Warn, &rules::waits(number, &lot));
                swept.waits(number);
            }
        }
    }
    call.delete(key);
    call.set(&rules::key(number), &lot);
    file(call, number, &lot)
}

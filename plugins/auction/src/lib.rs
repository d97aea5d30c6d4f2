//! Auction: a thing goes to whoever bids most by the end.
//!
//! The thing is held on the seller's account for the auction, the highest bid on the bidder's; who is
//! outbid has the bid back in the same call. After the end anybody settles it: the thing and the bid
//! change sides, through `plugin:auction`. What nobody settles is free again by itself, and then nobody has
//! won it.

mod rules;

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;
use rules::{Bid, Bidding, Config, Ended, Lot, Of, Open, Opened, Placed};

bursar_plugin::plugin! {
    id: "auction",
    description: "Things go to whoever bids most.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    actions: {
        open: "Puts something up for auction." => fn(Open) -> Opened,
        bid: "Bids for a lot." => fn(Bid) -> Bidding,
        settle: "Ends an auction whose time is over." => fn(Of) -> Ended,
        cancel: "Takes a lot of yours back that nobody has bid for." => fn(Of) -> Ended,
    },
    holds: {
        lot: 2_678_400 s then release,
        bid: 2_678_400 s then release,
    },
}

const NEXT: &str = "next";
const OLDEST: &str = "oldest";

fn open(call: &Call<Config>, open: Open) -> Result<Opened, Decline> {
    let (seller, house, now_ms) = (call.caller(), call.own_account(), call.now_ms());
    let times = call.config().times(&open, now_ms)?;
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    forget_ended(call, number)?;
    let open_key = rules::open_key(&seller)?;
    let lots = call.get::<OpenList>(&open_key)?.unwrap_or_default();
    call.set(&open_key, &rules::opened(lots, number, now_ms)?);
    let hold = call.place_hold("lot", &seller, &house, &open.asset, open.amount)?;
    call.set(NEXT, &number.saturating_add(1));
    let lot = Lot::new(seller, open, times, call.config(), hold);
    call.set(&rules::key(number), &lot);
    Ok(Opened {
        lot: number,
        ends_ms: lot.ends_ms(),
    })
}

fn bid(call: &Call<Config>, bid: Bid) -> Result<Bidding, Decline> {
    let (config, bidder, house) = (call.config(), call.caller(), call.own_account());
    let key = rules::key(bid.lot);
    let mut lot = call.get::<Lot>(&key)?.ok_or_else(rules::no_such_lot)?;
    lot.check_bid(config, &bidder, bid.amount, call.now_ms())?;
    if !is_there(call, &lot) {
        return Err(rules::lot_gone());
    }
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    let hold = call.place_hold("bid", &bidder, &house, lot.bid_asset(config), bid.amount)?;
    lot.take(
        Placed {
            bidder,
            amount: bid.amount,
            hold,
        },
        config,
        call.now_ms(),
    );
    call.set(&key, &lot);
    Ok(Bidding {
        amount: bid.amount,
        ends_ms: lot.ends_ms(),
    })
}

fn settle(call: &Call<Config>, of: Of) -> Result<Ended, Decline> {
    let (config, house) = (call.config(), call.own_account());
    let lot = call.get::<Lot>(&rules::key(of.lot))?;
    let lot = lot.ok_or_else(rules::no_such_lot)?;
    // What is not there any more needs no end to wait for.
    let is_there = is_there(call, &lot);
    if is_there {
        lot.check_over(call.now_ms())?;
    }
    // Both are there, whole, or neither moves: a reply, so that what is left of either side is free.
    let sold = lot.highest().filter(|highest| {
        let left = call.hold_left(&highest.hold);
        is_there && left == Some(highest.amount)
    });
    let Some(highest) = sold else {
        give_back(call, of.lot, &lot)?;
        return Ok(Ended::unsold());
    };
    call.capture_hold(lot.hold(), None)?;
    call.capture_hold(&highest.hold, None)?;
    call.transfer(&house, &highest.bidder, lot.asset(), lot.amount())?;
    call.transfer(&house, lot.seller(), lot.bid_asset(config), highest.amount)?;
    forget(call, of.lot, &lot)?;
    Ok(Ended::sold(highest))
}

fn cancel(call: &Call<Config>, of: Of) -> Result<Ended, Decline> {
    let lot = call.get::<Lot>(&rules::key(of.lot))?;
    let lot = lot.ok_or_else(rules::no_such_lot)?;
    lot.check_cancel(&call.caller())?;
    give_back(call, of.lot, &lot)?;
    Ok(Ended::unsold())
}

/// Whether all of what is up for auction is still held for it. After its time, or when an admin has ended
/// its hold or captured a part, it is not.
fn is_there(call: &Call<Config>, lot: &Lot) -> bool {
    call.hold_left(lot.hold()) == Some(lot.amount())
}

/// Ends an auction in which nothing is sold: both sides have their own back.
fn give_back(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.release_if_open(lot.hold())?;
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    forget(call, number, lot)
}

/// Ends a few of the oldest auctions, if nobody has settled them while the lot was held. All lots are held
/// as long, so they end in the order in which they were opened.
fn forget_ended(call: &Call<Config>, next: u64) -> Result<(), Decline> {
    let oldest = call.get::<u64>(OLDEST)?.unwrap_or(1);
    let end = next.min(oldest.saturating_add(rules::FORGOTTEN));
    let mut first_left = end;
    for number in oldest..end {
        if let Some(lot) = call.get::<Lot>(&rules::key(number))? {
            if call.hold_left(lot.hold()).is_some() {
                first_left = number;
                break;
            }
            give_back(call, number, &lot)?;
        }
    }
    call.set(OLDEST, &first_left);
    Ok(())
}

/// Forgets a lot that is over, also among those that its seller has open.
fn forget(call: &Call<Config>, number: u64, lot: &Lot) -> Result<(), Decline> {
    call.delete(&rules::key(number));
    // A lot that was opened before such lists were kept may be of a name too long for one.
    match rules::open_key(lot.seller()) {
        Ok(open_key) => OpenList::close(call, &open_key, number),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
    use serde_json::Value;

    use super::*;

    #[test]
    fn lots_and_bids_are_held_for_as_long_as_the_rules_say() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        for rule in ["lot", "bid"] {
            let held_s = &manifest["holds"][rule]["expires_in_s"];
            assert_eq!(held_s.as_u64(), Some(rules::HELD_S), "{rule}");
        }
    }
}

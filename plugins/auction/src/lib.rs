//! Auction: a thing goes to whoever bids most by the end.
//!
//! The thing is held on the seller's account for the auction, the highest bid on the bidder's; who is
//! outbid has the bid back in the same call. The terms are those of the opening, whatever is configured
//! later. After the end the lot is settled by itself, or by hand by anybody before that: the thing and the
//! bid change sides, through `plugin:auction`. What finds no room on an account waits there to be
//! collected. If one of the two accounts is closed to payments the lot waits for a week, and then both
//! sides have their own back.

mod replies;
mod rules;
mod settlement;

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;
use replies::{Bidding, Collected, Ended, Opened, Shown, Swept};
use rules::{Bid, Config, Lot, Of, Open, Owed, Placed};
use settlement::Outcome;

bursar_plugin::plugin! {
    id: "auction",
    description: "Things go to whoever bids most.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        open: "Puts something up for auction." => fn(Open) -> Opened,
        look: "Shows a lot, its terms and its highest bid." => fn(Of) -> Shown,
        bid: "Bids for a lot." => fn(Bid) -> Bidding,
        settle: "Ends an auction whose time is over, at once." => fn(Of) -> Ended,
        cancel: "Takes a lot of yours back that nobody has bid for." => fn(Of) -> Ended,
        collect: "Takes what an auction had to put aside for you." => fn(NoArguments) -> Collected,
    },
    holds: {
        lot: 5_184_000 s then release,
        bid: 5_184_000 s then release,
        handover: 60 s then release,
    },
    schedules: {
        settle_due: "Settles auctions that are over." every 10 s from 0 s missed skip => fn() -> Swept,
    },
}

const NEXT: &str = "next";

fn open(call: &Call<Config>, open: Open) -> Result<Opened, Decline> {
    let (seller, house, now_ms) = (call.caller(), call.own_account(), call.now_ms());
    let times = call.config().times(&open, now_ms)?;
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    // The price may have to be kept for the seller.
    rules::owed_key(&seller, number)?;
    let open_key = rules::open_key(&seller)?;
    let lots = call.get::<OpenList>(&open_key)?.unwrap_or_default();
    call.set(&open_key, &rules::opened(lots, number, now_ms)?);
    let hold = call.place_hold("lot", &seller, &house, &open.asset, open.amount)?;
    call.set(NEXT, &number.saturating_add(1));
    let lot = Lot::new(seller, open, times, call.config(), hold);
    call.set(&rules::key(number), &lot);
    settlement::file(call, number, &lot)?;
    Ok(Opened {
        lot: number,
        ends_ms: lot.ends_ms(),
    })
}

/// A lot that is still kept.
fn find(call: &Call<Config>, number: u64) -> Result<Lot, Decline> {
    if let Some(lot) = call.get::<Lot>(&rules::key(number))? {
        return Ok(lot);
    }
    let next = call.get::<u64>(NEXT)?.unwrap_or(1);
    Err(rules::no_lot(number, next))
}

fn look(call: &Call<Config>, of: Of) -> Result<Shown, Decline> {
    find(call, of.lot)?.shown()
}

fn bid(call: &Call<Config>, bid: Bid) -> Result<Bidding, Decline> {
    let (bidder, house) = (call.caller(), call.own_account());
    let mut lot = find(call, bid.lot)?;
    lot.check_bid(&bidder, bid.amount, call.now_ms())?;
    // What is won may have to be kept for the winner.
    rules::owed_key(&bidder, bid.lot)?;
    if !settlement::is_there(call, &lot) {
        return Err(rules::lot_gone());
    }
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    let hold = call.place_hold("bid", &bidder, &house, lot.bid_asset(), bid.amount)?;
    lot.take(
        Placed {
            bidder,
            amount: bid.amount,
            hold,
        },
        call.now_ms(),
    );
    call.set(&rules::key(bid.lot), &lot);
    Ok(Bidding {
        amount: bid.amount,
        ends_ms: lot.ends_ms(),
    })
}

fn settle(call: &Call<Config>, of: Of) -> Result<Ended, Decline> {
    let lot = find(call, of.lot)?;
    // What is not there any more needs no end to wait for.
    if settlement::is_there(call, &lot) {
        lot.check_over(call.now_ms())?;
    }
    match settlement::end(call, of.lot, &lot)? {
        Outcome::Over(ended) => Ok(ended),
        Outcome::Blocked => Err(rules::blocked()),
    }
}

fn cancel(call: &Call<Config>, of: Of) -> Result<Ended, Decline> {
    let lot = find(call, of.lot)?;
    lot.check_cancel(&call.caller())?;
    settlement::give_back(call, of.lot, &lot)?;
    Ok(Ended::unsold())
}

fn collect(call: &Call<Config>, _: NoArguments) -> Result<Collected, Decline> {
    let caller = call.caller();
    let owed = call.keys(&rules::owed(&caller), None).keys;
    let key = owed.first().ok_or_else(rules::nothing_owed)?;
    let due = call.get::<Owed>(key)?.ok_or_else(rules::nothing_owed)?;
    call.delete(key);
    call.transfer(&call.own_account(), &caller, due.asset(), due.amount())?;
    Ok(due.collected(owed.len() > 1))
}

fn settle_due(call: &Call<Config>, _: u64) -> Result<Swept, Decline> {
    settlement::sweep(call)
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
        let schedule = &manifest["schedules"][0];
        assert_eq!(schedule["name"], settlement::SETTLE);
    }
}

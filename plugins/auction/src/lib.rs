//! Auction: a thing goes to whoever bids most by the end.
//!
//! The thing is held on the seller's account for the auction, the highest bid on the bidder's; who is
//! outbid has the bid back in the same call. After the end anybody settles it: the thing and the bid
//! change sides, through `plugin:auction`. What nobody settles is free again by itself.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Bid, Bidding, Config, Ended, Lot, Of, Open, Opened, Placed};

bursar_plugin::plugin! {
    id: "auction",
    description: "Things go to whoever bids most.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
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

fn open(call: &Call<Config>, open: Open) -> Result<Opened, Decline> {
    let (config, seller, house) = (call.config(), call.caller(), call.own_account());
    let ends_ms = config.ends(&open, call.now_ms())?;
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    let hold = call.place_hold("lot", &seller, &house, &open.asset, open.amount)?;
    call.set(NEXT, &number.saturating_add(1));
    call.set(&rules::key(number), &Lot::new(seller, open, ends_ms, hold));
    Ok(Opened {
        lot: number,
        ends_ms,
    })
}

fn bid(call: &Call<Config>, bid: Bid) -> Result<Bidding, Decline> {
    let (config, bidder, house) = (call.config(), call.caller(), call.own_account());
    let key = rules::key(bid.lot);
    let mut lot = call.get::<Lot>(&key)?.ok_or_else(rules::no_such_lot)?;
    lot.check_bid(config, &bidder, bid.amount, call.now_ms())?;
    if let Some(highest) = lot.highest() {
        call.release_hold(&highest.hold)?;
    }
    let hold = call.place_hold("bid", &bidder, &house, &config.asset, bid.amount)?;
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
    let (config, house, key) = (call.config(), call.own_account(), rules::key(of.lot));
    let lot = call.get::<Lot>(&key)?.ok_or_else(rules::no_such_lot)?;
    lot.check_over(call.now_ms())?;
    call.delete(&key);
    let Some(highest) = lot.highest() else {
        if call.hold_left(lot.hold()).is_some() {
            call.release_hold(lot.hold())?;
        }
        return Ok(lot.ended());
    };
    // Both are there, or neither moves.
    let sold = call
        .hold_left(lot.hold())
        .zip(call.hold_left(&highest.hold));
    sold.ok_or_else(rules::too_late)?;
    call.capture_hold(lot.hold(), None)?;
    call.capture_hold(&highest.hold, None)?;
    call.transfer(&house, &highest.bidder, lot.asset(), lot.amount())?;
    call.transfer(&house, lot.seller(), &config.asset, highest.amount)?;
    Ok(lot.ended())
}

fn cancel(call: &Call<Config>, of: Of) -> Result<Ended, Decline> {
    let key = rules::key(of.lot);
    let lot = call.get::<Lot>(&key)?.ok_or_else(rules::no_such_lot)?;
    lot.check_cancel(&call.caller())?;
    if call.hold_left(lot.hold()).is_some() {
        call.release_hold(lot.hold())?;
    }
    call.delete(&key);
    Ok(lot.ended())
}

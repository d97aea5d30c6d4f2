//! Trade: two members swap what they have. Both agree, or nothing moves.
//!
//! What is offered is held on the offerer's account until the other accepts or the offer is withdrawn;
//! after a day it is free again by itself. Accepting moves both sides in one call.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Accept, Accepted, Config, Held, Offer, Offered, Trade, Withdrawn};

bursar_plugin::plugin! {
    id: "trade",
    description: "Members swap what they have: both sides move, or nothing does.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    actions: {
        offer: "Offers something to another member, for something else." => fn(Offer) -> Offered,
        accept: "Takes an offer that was made to you." => fn(Accept) -> Accepted,
        withdraw: "Takes back an offer of yours, or turns down one that was made to you."
            => fn(Accept) -> Withdrawn,
    },
    holds: {
        offer: 86_400 s then release,
    },
}

const NEXT: &str = "next";

fn offer(call: &Call<Config>, offer: Offer) -> Result<Offered, Decline> {
    let caller = call.caller();
    offer.check(&caller)?;
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    let mut kept = Vec::new();
    for (asset, amount) in &offer.give {
        let hold = call.place_hold("offer", &caller, &offer.to, asset, *amount)?;
        kept.push(Held { hold });
    }
    call.set(NEXT, &number.saturating_add(1));
    call.set(&rules::key(number), &Trade::new(caller, offer, kept));
    Ok(Offered { trade: number })
}

fn accept(call: &Call<Config>, accept: Accept) -> Result<Accepted, Decline> {
    let (caller, key) = (call.caller(), rules::key(accept.trade));
    let trade = call.get::<Trade>(&key)?.ok_or_else(rules::no_such_trade)?;
    trade.check_receiver(&caller)?;
    for held in trade.held() {
        // The whole of it must still be there: a part is no trade.
        call.hold_left(&held.hold).ok_or_else(rules::too_late)?;
        call.capture_hold(&held.hold, None)?;
    }
    for (asset, amount) in trade.price() {
        call.transfer(&caller, trade.offerer(), asset, *amount)?;
    }
    call.delete(&key);
    Ok(trade.accepted())
}

fn withdraw(call: &Call<Config>, accept: Accept) -> Result<Withdrawn, Decline> {
    let (caller, key) = (call.caller(), rules::key(accept.trade));
    let trade = call.get::<Trade>(&key)?.ok_or_else(rules::no_such_trade)?;
    trade.check_either(&caller)?;
    for held in trade.held() {
        // What has ended by itself is free already.
        if call.hold_left(&held.hold).is_some() {
            call.release_hold(&held.hold)?;
        }
    }
    call.delete(&key);
    Ok(Withdrawn {
        trade: accept.trade,
    })
}

//! Trade: two members swap what they have. Both agree, or nothing moves.
//!
//! What is offered is held on the offerer's account until the other accepts or the offer is withdrawn;
//! after a day it is free again by itself. Accepting moves both sides in one call. What is kept of offers
//! that ended by themselves goes with the offers after them, and a member has only so many open: nobody
//! fills the state for all.

mod rules;

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;
use rules::{Accept, Accepted, Config, Held, Offer, Offered, Trade, Withdrawn};

bursar_plugin::plugin! {
    id: "trade",
    description: "Members swap what they have: both sides move, or nothing does.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
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
const OLDEST: &str = "oldest";

fn offer(call: &Call<Config>, offer: Offer) -> Result<Offered, Decline> {
    let caller = call.caller();
    offer.check(&caller)?;
    for asset in offer.want.keys() {
        // Only whether there is such an asset matters: what is wanted may be bought before it is paid.
        call.has_at_least(&caller, asset, Amount::ONE)?;
    }
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    forget_ended(call, number)?;
    let open_key = rules::open_key(&caller)?;
    let open = call.get::<OpenList>(&open_key)?.unwrap_or_default();
    call.set(&open_key, &rules::opened(open, number, call.now_ms())?);
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
    for (hold, amount) in trade.held() {
        // The whole of it must still be there: a part is no trade.
        if call.hold_left(hold) != Some(amount) {
            return Err(rules::too_late());
        }
        call.capture_hold(hold, None)?;
    }
    for (asset, amount) in trade.price() {
        call.transfer(&caller, trade.offerer(), asset, *amount)?;
    }
    forget(call, accept.trade, &trade)?;
    Ok(trade.accepted())
}

fn withdraw(call: &Call<Config>, accept: Accept) -> Result<Withdrawn, Decline> {
    let (caller, key) = (call.caller(), rules::key(accept.trade));
    let trade = call.get::<Trade>(&key)?.ok_or_else(rules::no_such_trade)?;
    trade.check_either(&caller)?;
    for (hold, _) in trade.held() {
        call.release_if_open(hold)?;
    }
    forget(call, accept.trade, &trade)?;
    Ok(Withdrawn {
        trade: accept.trade,
    })
}

/// Forgets a few of the oldest offers, if they have ended. All live as long, so they end in the order in
/// which they were made.
fn forget_ended(call: &Call<Config>, next: u64) -> Result<(), Decline> {
    let oldest = call.get::<u64>(OLDEST)?.unwrap_or(1);
    let end = next.min(oldest.saturating_add(rules::FORGOTTEN));
    let mut first_left = end;
    for number in oldest..end {
        if let Some(trade) = call.get::<Trade>(&rules::key(number))? {
            if trade.held().any(|(hold, _)| call.hold_left(hold).is_some()) {
                first_left = number;
                break;
            }
            forget(call, number, &trade)?;
        }
    }
    call.set(OLDEST, &first_left);
    Ok(())
}

/// Forgets an offer that is over, also among those that its member has open.
fn forget(call: &Call<Config>, number: u64, trade: &Trade) -> Result<(), Decline> {
    call.delete(&rules::key(number));
    // An offer that was made before such lists were kept may be of a name too long for one.
    match rules::open_key(trade.offerer()) {
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
    fn offers_count_as_open_for_as_long_as_they_are_held() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        let lives_s = &manifest["holds"]["offer"]["expires_in_s"];
        assert_eq!(lives_s.as_u64(), Some(rules::LIVES_S));
    }
}

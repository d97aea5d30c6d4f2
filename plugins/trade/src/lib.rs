//! A trade between two members: both sides move, or nothing does.
//!
//! The offered assets are held on the offerer's account until the other member accepts, the offer is withdrawn,
//! or a day has passed. `accept` moves both sides in one call. Each new offer deletes a few expired ones, and the
//! number of open offers of a member is limited, so that no member can fill the plugin's state.

mod rules;

use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;
use rules::{
    AcceptReply, Config, OfferArguments, OfferHold, OfferReply, Trade, TradeArguments,
    WithdrawReply,
};

bursar_plugin::plugin! {
    id: "trade",
    description: "Members exchange assets: both sides move, or nothing does.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    actions: {
        offer: "Offers assets to another member in exchange for others."
            => fn(OfferArguments) -> OfferReply,
        accept: "Accepts an offer that was made to you." => fn(TradeArguments) -> AcceptReply,
        withdraw: "Withdraws your own offer, or rejects one that was made to you."
            => fn(TradeArguments) -> WithdrawReply,
    },
    holds: {
        offer: 86_400 s then release,
    },
}

/// The key of the number of the next offer.
const NEXT: &str = "next";
/// The key of the number of the oldest offer that may still be stored.
const OLDEST: &str = "oldest";

fn offer(call: &Call<Config>, offer: OfferArguments) -> Result<OfferReply, Decline> {
    let caller = call.caller();
    offer.check(&caller)?;
    for asset in offer.want.keys() {
        // Declines an unknown asset. The result is ignored: the receiver may get the amount before accepting.
        call.has_at_least(&caller, asset, Amount::ONE)?;
    }
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    delete_ended(call, number)?;
    let open_key = rules::open_key(&caller)?;
    let open = call.get::<OpenList>(&open_key)?.unwrap_or_default();
    call.set(&open_key, &rules::add_open(open, number, call.now_ms())?);
    let mut holds = Vec::new();
    for (asset, amount) in &offer.give {
        let hold = call.place_hold("offer", &caller, &offer.to, asset, *amount)?;
        holds.push(OfferHold { hold });
    }
    call.set(NEXT, &number.saturating_add(1));
    call.set(&rules::key(number), &Trade::new(caller, offer, holds));
    Ok(OfferReply { trade: number })
}

fn accept(call: &Call<Config>, arguments: TradeArguments) -> Result<AcceptReply, Decline> {
    let caller = call.caller();
    let key = rules::key(arguments.trade);
    let trade = call.get::<Trade>(&key)?.ok_or_else(rules::no_such_trade)?;
    trade.check_receiver(&caller)?;
    for (hold, amount) in trade.holds() {
        // The hold must be whole: an admin may have captured a part of it.
        if call.hold_left(hold) != Some(amount) {
            return Err(rules::too_late());
        }
        call.capture_hold(hold, None)?;
    }
    for (asset, amount) in trade.price() {
        call.transfer(&caller, trade.offerer(), asset, *amount)?;
    }
    delete(call, arguments.trade, &trade)?;
    Ok(trade.accepted())
}

fn withdraw(call: &Call<Config>, arguments: TradeArguments) -> Result<WithdrawReply, Decline> {
    let caller = call.caller();
    let key = rules::key(arguments.trade);
    let trade = call.get::<Trade>(&key)?.ok_or_else(rules::no_such_trade)?;
    trade.check_either(&caller)?;
    for (hold, _) in trade.holds() {
        call.release_if_open(hold)?;
    }
    delete(call, arguments.trade, &trade)?;
    Ok(WithdrawReply {
        trade: arguments.trade,
    })
}

/// Deletes a few of the oldest offers, if they have ended. All offers have one lifetime, so they end in the
/// order of their numbers.
fn delete_ended(call: &Call<Config>, next: u64) -> Result<(), Decline> {
    let oldest = call.get::<u64>(OLDEST)?.unwrap_or(1);
    let end = next.min(oldest.saturating_add(rules::DELETED_MAX));
    let mut first_left = end;
    for number in oldest..end {
        if let Some(trade) = call.get::<Trade>(&rules::key(number))? {
            if trade
                .holds()
                .any(|(hold, _)| call.hold_left(hold).is_some())
            {
                first_left = number;
                break;
            }
            delete(call, number, &trade)?;
        }
    }
    call.set(OLDEST, &first_left);
    Ok(())
}

/// Deletes an offer, also from the open offers of its member.
fn delete(call: &Call<Config>, number: u64, trade: &Trade) -> Result<(), Decline> {
    call.delete(&rules::key(number));
    // Offers of earlier versions have no list of open offers, so the name may be too long for its key.
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
    fn an_offer_is_open_as_long_as_its_holds() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        let lives_s = &manifest["holds"]["offer"]["expires_in_s"];
        assert_eq!(lives_s.as_u64(), Some(rules::LIFETIME_S));
    }
}

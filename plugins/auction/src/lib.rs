//! An auction: the highest bid at the end wins a lot.
//!
//! The lot is held on the seller's account, the highest bid on the bidder's. A higher bid releases the previous
//! one in the same call. A lot keeps the terms of its opening, even if the configuration changes.
//!
//! After the end a schedule settles the lot; any member may also settle it at once. The lot and the price change
//! sides through `plugin:auction`. If an account is full, its part stays on `plugin:auction` until the member
//! collects it. If an account cannot pay or receive, the settlement is tried again for a week; then the lot and
//! the bid are released.

mod arguments;
mod config;
mod debt;
mod lot;
mod lots;
mod replies;
mod settlement;
mod times;

use arguments::{BidArguments, LotArguments, OpenArguments};
use bursar_plugin::OpenList;
use bursar_plugin::prelude::*;
use config::Config;
use debt::Debt;
use lot::{Lot, PlacedBid};
use replies::{BidReply, CollectReply, LotResult, LotView, OpenReply, SettleDueReply};
use settlement::SettlementOutcome;

bursar_plugin::plugin! {
    id: "auction",
    description: "Auctions of items: the highest bid wins.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        open: "Puts a lot up for auction." => fn(OpenArguments) -> OpenReply,
        look: "Shows a lot, its terms and its highest bid." => fn(LotArguments) -> LotView,
        bid: "Bids for a lot." => fn(BidArguments) -> BidReply,
        settle: "Settles an auction that is over." => fn(LotArguments) -> LotResult,
        cancel: "Cancels your own lot, if it has no bids." => fn(LotArguments) -> LotResult,
        collect: "Collects what an auction owes you, since your account was full."
            => fn(NoArguments) -> CollectReply,
    },
    holds: {
        lot: 5_184_000 s then release,
        bid: 5_184_000 s then release,
        handover: 60 s then release,
    },
    schedules: {
        settle_due: "Settles auctions that are over." every 10 s from 0 s missed skip
            => fn() -> SettleDueReply,
    },
}

/// The key of the number of the next lot.
const NEXT: &str = "next";

fn open(call: &Call<Config>, arguments: OpenArguments) -> Result<OpenReply, Decline> {
    let seller = call.caller();
    let own = call.own_account();
    let now_ms = call.now_ms();
    let times = call.config().times(&arguments, now_ms)?;
    let number = call.get::<u64>(NEXT)?.unwrap_or(1);
    // The settlement may store the price as a debt, so the key must fit.
    debt::key(&seller, number)?;
    let open_key = lots::open_key(&seller)?;
    let open = call.get::<OpenList>(&open_key)?.unwrap_or_default();
    call.set(&open_key, &lots::add_open(open, number, now_ms)?);
    let hold = call.place_hold("lot", &seller, &own, &arguments.asset, arguments.amount)?;
    call.set(NEXT, &number.saturating_add(1));
    let lot = Lot::new(seller, arguments, times, call.config(), hold);
    call.set(&lots::key(number), &lot);
    settlement::schedule_check(call, number, &lot)?;
    Ok(OpenReply {
        lot: number,
        ends_ms: lot.ends_ms(),
    })
}

/// Reads a lot.
fn find(call: &Call<Config>, number: u64) -> Result<Lot, Decline> {
    if let Some(lot) = call.get::<Lot>(&lots::key(number))? {
        return Ok(lot);
    }
    let next = call.get::<u64>(NEXT)?.unwrap_or(1);
    Err(lots::not_found(number, next))
}

fn look(call: &Call<Config>, arguments: LotArguments) -> Result<LotView, Decline> {
    find(call, arguments.lot)?.view()
}

fn bid(call: &Call<Config>, arguments: BidArguments) -> Result<BidReply, Decline> {
    let BidArguments {
        lot: number,
        amount,
    } = arguments;
    let bidder = call.caller();
    let own = call.own_account();
    let mut lot = find(call, number)?;
    lot.check_bid(&bidder, amount, call.now_ms())?;
    // The settlement may store the won lot as a debt, so the key must fit.
    debt::key(&bidder, number)?;
    if !settlement::is_available(call, &lot) {
        return Err(lot::lot_gone());
    }
    if let Some(highest) = lot.highest() {
        call.release_if_open(&highest.hold)?;
    }
    let hold = call.place_hold("bid", &bidder, &own, lot.bid_asset(), amount)?;
    let bid = PlacedBid {
        bidder,
        amount,
        hold,
    };
    lot.accept(bid, call.now_ms());
    call.set(&lots::key(number), &lot);
    Ok(BidReply {
        amount,
        ends_ms: lot.ends_ms(),
    })
}

fn settle(call: &Call<Config>, arguments: LotArguments) -> Result<LotResult, Decline> {
    let lot = find(call, arguments.lot)?;
    // A lot that is no longer available can be settled before the end.
    if settlement::is_available(call, &lot) {
        lot.check_over(call.now_ms())?;
    }
    match settlement::settle(call, arguments.lot, &lot)? {
        SettlementOutcome::Over(result) => Ok(result),
        SettlementOutcome::Blocked => Err(lot::blocked()),
    }
}

fn cancel(call: &Call<Config>, arguments: LotArguments) -> Result<LotResult, Decline> {
    let lot = find(call, arguments.lot)?;
    lot.check_cancel(&call.caller())?;
    settlement::release(call, arguments.lot, &lot)?;
    Ok(LotResult::unsold())
}

fn collect(call: &Call<Config>, _: NoArguments) -> Result<CollectReply, Decline> {
    let caller = call.caller();
    let debts = call.keys(&debt::prefix(&caller), None).keys;
    let key = debts.first().ok_or_else(debt::nothing_owed)?;
    let debt = call.get::<Debt>(key)?.ok_or_else(debt::nothing_owed)?;
    call.delete(key);
    call.transfer(&call.own_account(), &caller, debt.asset(), debt.amount())?;
    Ok(debt.collected(debts.len() > 1))
}

fn settle_due(call: &Call<Config>, _: u64) -> Result<SettleDueReply, Decline> {
    settlement::settle_due(call)
}

#[cfg(test)]
mod tests {
    use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_manifest_has_the_lifetime_of_holds_and_the_name_of_the_schedule() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        for rule in ["lot", "bid"] {
            let held_s = &manifest["holds"][rule]["expires_in_s"];
            assert_eq!(held_s.as_u64(), Some(times::HELD_S), "{rule}");
        }
        let schedule = &manifest["schedules"][0];
        assert_eq!(schedule["name"], settlement::SETTLE);
    }
}

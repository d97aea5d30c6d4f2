//! A shop with fixed prices in one or more currencies and a finite stock.
//!
//! The stock is the shop's own balance of each item, so the shop cannot oversell it. The operator issues items
//! to `plugin:shop`. Income goes to `plugin:shop:till`, which also pays refunds. Limits and cooldowns per member
//! hold under any concurrency, since a purchase commits only if the history that it has read is unchanged.
//!
//! A schedule moves items from `plugin:shop:storeroom` to the shelf, up to a level per item. The shop therefore
//! needs no permission to issue items: the operator issues all of them to the storeroom.

mod check;
mod config;
mod history;
mod purchase;
mod refunds;
mod restock;
mod terms;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use config::{Config, RestockLevel};
use history::PurchaseHistory;
use purchase::{BuyArguments, BuyReply};
use refunds::{Purchases, RefundArguments, RefundReply};
use restock::RestockReply;

bursar_plugin::plugin! {
    id: "shop",
    description: "Sells items at fixed prices from a finite stock, with limits per member and refunds.",
    license: "Apache-2.0 OR MIT",
    accounts: ["till", "storeroom"],
    // The state has the limits, cooldowns and refunds of each member.
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        buy: "Buys an item at the shop's price." => fn(BuyArguments) -> BuyReply,
        refund: "Returns a purchase and refunds its price." => fn(RefundArguments) -> RefundReply,
    },
    schedules: {
        restock: "Fills the shelves from the storeroom." every 86_400 s from 0 s missed skip
            => fn() -> RestockReply,
    },
}

fn buy(call: &Call<Config>, arguments: BuyArguments) -> Result<BuyReply, Decline> {
    let now_ms = call.now_ms();
    // Read once, and only if an offer is for a role.
    let roles = LazyCell::new(|| call.roles());
    let offer = call.config().find(&arguments.item, now_ms, |role| {
        roles.iter().any(|has| has == role)
    })?;
    let caller = call.caller();
    let quantity = arguments.quantity();
    let stock = call.own_account();
    let till = call.own_sub_account("till");
    if let Some(item) = offer.terms().item()
        && !call.has_at_least(&caller, item, Amount::ONE)?
    {
        return Err(terms::item_required(item));
    }
    let counted = call.config().counts(&arguments.item);
    if counted {
        let key = history::history_key(&arguments.item, &caller)?;
        let history = call.get::<PurchaseHistory>(&key)?.unwrap_or_default();
        call.set(&key, &history.with(offer, quantity, now_ms)?);
    }
    // `has_at_least` instead of `balance`: the balance changes with each purchase, which would make concurrent
    // purchases run again; this result changes seldom.
    if !call.has_at_least(&stock, &arguments.item, quantity)? {
        return Err(purchase::out_of_stock(&arguments.item));
    }
    let mut reply = BuyReply {
        paid: offer.cost(quantity)?,
        item: arguments.item,
        quantity,
        purchase: None,
    };
    for (asset, amount) in &reply.paid {
        // The ledger checks that the member can pay, and its error names the missing amount.
        call.transfer(&caller, &till, asset, *amount)?;
    }
    call.transfer(&stock, &caller, &reply.item, quantity)?;
    let promise = offer.refund_promise(counted);
    match refunds::key(&caller) {
        Ok(key) => {
            let mut purchases = call.get::<Purchases>(&key)?.unwrap_or_default();
            if purchases.are_changed_by(&reply.item, promise) {
                reply.purchase = purchases.add(&reply, promise, now_ms);
                call.set(&key, &purchases);
            }
        }
        // The member's name is too long for a key, so purchases are not stored. Without a promise, this one need not
        // be stored.
        Err(_) if promise.is_none() => {}
        Err(decline) => return Err(decline),
    }
    Ok(reply)
}

fn refund(call: &Call<Config>, arguments: RefundArguments) -> Result<RefundReply, Decline> {
    let caller = call.caller();
    let stock = call.own_account();
    let till = call.own_sub_account("till");
    let key = refunds::key(&caller)?;
    let mut purchases = call.get::<Purchases>(&key)?.unwrap_or_default();
    let purchase = purchases.take(arguments.purchase, call.now_ms())?;
    call.set(&key, &purchases);
    if !call.has_at_least(&caller, purchase.item(), purchase.needed()?)? {
        return Err(refunds::item_gone(&purchase));
    }
    let counted = purchase.counted();
    let reply = RefundReply::from(purchase);
    let RefundReply {
        item,
        quantity,
        paid,
    } = &reply;
    // An uncounted purchase is not in the count, so it is not removed from it.
    if let Some(counted) = counted
        && let Ok(key) = history::history_key(item, &caller)
        && let Some(history) = call.get::<PurchaseHistory>(&key)?
    {
        call.set(&key, &history.without(counted));
    }
    call.transfer(&caller, &stock, item, *quantity)?;
    for (asset, amount) in paid {
        if !call.has_at_least(&till, asset, *amount)? {
            return Err(refunds::till_too_small(asset));
        }
        call.transfer(&till, &caller, asset, *amount)?;
    }
    Ok(reply)
}

fn restock(call: &Call<Config>, _: u64) -> Result<RestockReply, Decline> {
    let mut items = BTreeMap::new();
    for (item, level) in call.config().restocked()? {
        match fill_up(call, item, level) {
            Ok(Some(missing)) => {
                items.insert(item.clone(), missing);
            }
            Ok(None) => {}
            // A wrong item in the configuration does not keep the others from being restocked.
            Err(reason) => call.log(Level::Warn, &restock::skipped(item, &reason)),
        }
    }
    RestockReply { items }.check()
}

/// Moves the missing units of an item from the storeroom to the shelf. Returns their number.
fn fill_up(
    call: &Call<Config>,
    item: &Asset,
    level: Option<RestockLevel>,
) -> Result<Option<Amount>, Decline> {
    let level = level.ok_or_else(|| restock::two_levels(item))?;
    let shelf = call.own_account();
    let storeroom = call.own_sub_account("storeroom");
    let on_shelf = call.balance(&shelf, item)?.spendable;
    let in_store = call.balance(&storeroom, item)?.spendable;
    let missing = level.missing(on_shelf, in_store);
    if let Some(missing) = missing {
        call.transfer(&storeroom, &shelf, item, missing)?;
    }
    Ok(missing)
}

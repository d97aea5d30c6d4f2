//! A shop: items at fixed prices in one or more currencies, from a stock that runs out.
//!
//! The stock is the shop's own balance of the item, so it cannot be oversold; the operator issues
//! it to `plugin:shop`. Income goes to `plugin:shop:till`, out of which refunds are paid. A limit and a
//! cooldown per member hold under any concurrency, since what was read of them must still be true when
//! the purchase commits.
//!
//! What the operator issues to `plugin:shop:storeroom` comes onto the shelves by itself, up to a level per
//! item. So the shop needs no grant to issue anything: what there can ever be is in the storeroom.

mod check;
mod refunds;
mod restock;
mod rules;
mod terms;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use refunds::{Purchases, Refund, Refunded};
use restock::{Restock, Restocked};
use rules::{Bought, Buy, Config, History};

bursar_plugin::plugin! {
    id: "shop",
    description: "Sells items at fixed prices from finite stock, with limits per member and refunds.",
    license: "Apache-2.0 OR MIT",
    accounts: ["till", "storeroom"],
    // Limits, cooldowns and refunds are remembered of each member.
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        buy: "Buys an item at the shop's price." => fn(Buy) -> Bought,
        refund: "Gives a purchase back for what was paid." => fn(Refund) -> Refunded,
    },
    schedules: {
        restock: "Fills the shelves up from the storeroom." every 86_400 s from 0 s missed skip
            => fn() -> Restocked,
    },
}

fn buy(call: &Call<Config>, buy: Buy) -> Result<Bought, Decline> {
    let now_ms = call.now_ms();
    // Asked for once, and only where an offer is for a role.
    let roles = LazyCell::new(|| call.roles());
    let offer = call.config().find(&buy.item, now_ms, |role| {
        roles.iter().any(|has| has == role)
    })?;
    let (caller, quantity) = (call.caller(), buy.quantity());
    let (stock, till) = (call.own_account(), call.own_sub_account("till"));
    if let Some(item) = offer.terms().item()
        && !call.has_at_least(&caller, item, Amount::ONE)?
    {
        return Err(terms::item_required(item));
    }
    let counted = call.config().remembers(&buy.item);
    if counted {
        let key = rules::history_key(&buy.item, &caller)?;
        let before = call.get::<History>(&key)?.unwrap_or_default();
        call.set(&key, &before.with(offer, quantity, now_ms)?);
    }
    // A yes or no, not the balance: what is left changes with each purchase, this seldom does.
    if !call.has_at_least(&stock, &buy.item, quantity)? {
        return Err(rules::out_of_stock(&buy.item));
    }
    let mut bought = Bought {
        paid: offer.cost(quantity)?,
        item: buy.item,
        quantity,
        purchase: None,
    };
    for (asset, amount) in &bought.paid {
        // Whether the member can pay is the ledger's to say: it names what is there and what is not.
        call.transfer(&caller, &till, asset, *amount)?;
    }
    call.transfer(&stock, &caller, &bought.item, quantity)?;
    let promise = offer.promise(counted);
    match refunds::key(&caller) {
        Ok(key) => {
            let mut purchases = call.get::<Purchases>(&key)?.unwrap_or_default();
            if purchases.concern(&bought.item, promise) {
                bought.purchase = purchases.add(&bought, promise, now_ms);
                call.set(&key, &purchases);
            }
        }
        // Of so long a name nothing is kept, and nothing is promised.
        Err(_) if promise.is_none() => {}
        Err(no) => return Err(no),
    }
    Ok(bought)
}

fn refund(call: &Call<Config>, Refund { purchase }: Refund) -> Result<Refunded, Decline> {
    let caller = call.caller();
    let (stock, till) = (call.own_account(), call.own_sub_account("till"));
    let key = refunds::key(&caller)?;
    let mut purchases = call.get::<Purchases>(&key)?.unwrap_or_default();
    let purchase = purchases.take(purchase, call.now_ms())?;
    call.set(&key, &purchases);
    if !call.has_at_least(&caller, purchase.item(), purchase.needed()?)? {
        return Err(refunds::item_gone(&purchase));
    }
    let counted = purchase.counted();
    let refunded = Refunded::from(purchase);
    let Refunded {
        item,
        quantity,
        paid,
    } = &refunded;
    // What was bought while nothing was remembered is not in the count, and so not taken off it.
    if let Some(counted) = counted
        && let Ok(key) = rules::history_key(item, &caller)
        && let Some(history) = call.get::<History>(&key)?
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
    Ok(refunded)
}

fn restock(call: &Call<Config>, _: u64) -> Result<Restocked, Decline> {
    let mut items = BTreeMap::new();
    for (item, level) in call.config().restocked()? {
        match fill_up(call, item, level) {
            Ok(Some(missing)) => {
                items.insert(item.clone(), missing);
            }
            Ok(None) => {}
            // One item that is wrong in the configuration is no reason to sell none of the others.
            Err(no) => call.log(Level::Warn, &restock::skipped(item, &no)),
        }
    }
    Restocked { items }.check()
}

/// Puts onto the shelf what is missing of an item, as far as it is in the storeroom.
fn fill_up(
    call: &Call<Config>,
    item: &Asset,
    level: Option<Restock>,
) -> Result<Option<Amount>, Decline> {
    let level = level.ok_or_else(|| restock::two_levels(item))?;
    let (shelf, storeroom) = (call.own_account(), call.own_sub_account("storeroom"));
    let on_shelf = call.balance(&shelf, item)?.spendable;
    let in_store = call.balance(&storeroom, item)?.spendable;
    let missing = level.missing(on_shelf, in_store);
    if let Some(missing) = missing {
        call.transfer(&storeroom, &shelf, item, missing)?;
    }
    Ok(missing)
}

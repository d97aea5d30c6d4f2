//! A shop: items at fixed prices in one or more currencies, from a stock that runs out.
//!
//! The stock is the shop's own balance of the item, so it cannot be oversold; the operator issues
//! it to `plugin:shop`. Income goes to `plugin:shop:till`. A limit and a cooldown per member hold
//! under any concurrency, since what was read of them must still be true when the purchase commits.

mod rules;
mod terms;

use bursar_plugin::prelude::*;
use rules::{Bought, Buy, Config, Purchases};

bursar_plugin::plugin! {
    id: "shop",
    description: "Sells items at fixed prices from finite stock, with limits per member.",
    license: "Apache-2.0 OR MIT",
    accounts: ["till"],
    config: Config,
    actions: {
        buy: "Buys an item at the shop's price." => fn(Buy) -> Bought,
    },
}

fn buy(call: &Call<Config>, buy: Buy) -> Result<Bought, Decline> {
    let offer = call.config().find(&buy.item)?;
    let (caller, quantity) = (call.caller(), buy.quantity());
    let (stock, till) = (call.own_account(), call.own_sub_account("till"));
    offer
        .terms()
        .check(call.now_ms(), |role| call.has_role(role))?;
    if let Some(item) = offer.terms().item()
        && !call.has_at_least(&caller, item, Amount::ONE)?
    {
        return Err(terms::item_required(item));
    }
    if offer.remembers() {
        let key = rules::history_key(&buy.item, &caller)?;
        let before = call.get::<Purchases>(&key)?.unwrap_or_default();
        call.set(&key, &before.with(offer, quantity, call.now_ms())?);
    }
    // A yes or no, not the balance: what is left changes with each purchase, this seldom does.
    if !call.has_at_least(&stock, &buy.item, quantity)? {
        return Err(rules::out_of_stock(&buy.item));
    }
    let paid = offer.cost(quantity)?;
    for (asset, amount) in &paid {
        // Whether the member can pay is the ledger's to say: it names what is there and what is not.
        call.transfer(&caller, &till, asset, *amount)?;
    }
    call.transfer(&stock, &caller, &buy.item, quantity)?;
    Ok(Bought {
        item: buy.item,
        quantity,
        paid,
    })
}

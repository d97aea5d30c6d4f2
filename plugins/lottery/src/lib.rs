//! Lottery: tickets into a pot, and a winner drawn when it is due, each ticket as likely.
//!
//! All that is paid for tickets is on `plugin:lottery:pot`; at the draw the operator's share goes to
//! `plugin:lottery:fees`, the rest waits on `plugin:lottery:prizes` until the winner claims it, in the
//! asset that it was won in. The first ticket of a round fixes its terms: the asset, the price, the limit
//! per member and the operator's share, whatever is configured before the draw. A round without tickets leaves the pot to the next one. The draw mixes in what
//! every buyer has put into draws, so neither a buyer nor the house chooses alone.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Bought, Buy, Claimed, Config, Drawn, Prize, Round, Status, Tickets};

bursar_plugin::plugin! {
    id: "lottery",
    description: "Tickets into a pot, and a winner drawn when it is due.",
    license: "Apache-2.0 OR MIT",
    accounts: ["pot", "prizes", "fees"],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        buy: "Buys tickets of the present round." => fn(Buy) -> Bought,
        claim: "Takes what you have won." => fn(NoArguments) -> Claimed,
        status: "Says how the present round stands." => fn(NoArguments) -> Status,
    },
    schedules: {
        draw: "Draws the winner of the round." every 86_400 s from 72_000 s missed skip => fn() -> Drawn,
    },
}

const ROUND: &str = "round";

fn buy(call: &Call<Config>, buy: Buy) -> Result<Bought, Decline> {
    let caller = call.caller();
    let mut round = call.get::<Round>(ROUND)?.unwrap_or_default();
    buy.check(&round)?;
    forget(call, &mut round);
    let terms = round.terms(call.config())?;
    let owned_key = round.owned_key(&caller)?;
    let owned = call.get::<u64>(&owned_key)?.unwrap_or(0);
    let owned = terms.check(owned, buy.tickets())?;
    // Who has a ticket can win, and then a prize is kept.
    rules::prize_key(&caller, &terms.asset)?;
    let sold = round.sell(buy.tickets(), &terms, &caller, &call.client_seed())?;
    call.set(&sold.range_key(), &Tickets::of(&caller));
    call.set(&owned_key, &owned);
    call.set(ROUND, &sold);
    let cost = terms.cost(buy.tickets())?;
    call.transfer(&caller, &call.own_sub_account("pot"), &terms.asset, cost)?;
    Ok(Bought {
        round: sold.number(),
        tickets: owned,
        paid: cost,
    })
}

fn status(call: &Call<Config>, _: NoArguments) -> Result<Status, Decline> {
    let round = call.get::<Round>(ROUND)?.unwrap_or_default();
    let terms = round.terms(call.config())?;
    let pot = call.balance(&call.own_sub_account("pot"), &terms.asset)?;
    Ok(round.status(pot.spendable, terms))
}

fn claim(call: &Call<Config>, _: NoArguments) -> Result<Claimed, Decline> {
    let (caller, prizes) = (call.caller(), call.own_sub_account("prizes"));
    let prefix = rules::prizes(&caller)?;
    let won = call.keys(&prefix, None).keys;
    let (more, key) = (won.len() > 1, won.first().ok_or_else(rules::nothing_won)?);
    let asset = rules::prize_asset(&prefix, key)?;
    let prize = call.get::<Prize>(key)?.ok_or_else(rules::nothing_won)?;
    let amount = prize.amount();
    call.delete(key);
    call.transfer(&prizes, &caller, &asset, amount)?;
    Ok(Claimed {
        asset,
        amount,
        more,
    })
}

fn draw(call: &Call<Config>, _: u64) -> Result<Drawn, Decline> {
    let mut round = call.get::<Round>(ROUND)?.unwrap_or_default();
    forget(call, &mut round);
    let tickets = round.tickets()?;
    let terms = round.terms(call.config())?;
    let asset = terms.asset.clone();
    let [pot, prizes, fees] = ["pot", "prizes", "fees"].map(|sub| call.own_sub_account(sub));
    let held = call.balance(&pot, &asset)?.spendable;
    let (prize, fee) = terms.share(held)?;
    if let Some(fee) = fee {
        call.transfer(&pot, &fees, &asset, fee)?;
    }
    call.transfer(&pot, &prizes, &asset, prize)?;
    call.mix(round.mixed());
    // Who has won is known from here on; what is written of it is written in any case.
    let ticket = call.below(tickets, "ticket");
    let page = call.keys(&round.prefix(), Some(&round.key_after(ticket)));
    let range_key = page.keys.first().expect("each ticket is in one range");
    let tickets_of = call.get::<Tickets>(range_key);
    let tickets_of = tickets_of.expect("a range is a range");
    let winner = tickets_of.expect("its key is there").owner();
    let prize_key = rules::prize_key(&winner, &asset);
    let prize_key = prize_key.expect("it was checked with the ticket");
    let before = call.get::<Prize>(&prize_key).expect("a prize is a prize");
    let all = Prize::and(before, prize).expect("there is no more than there is");
    call.set(&prize_key, &all);
    call.set(ROUND, &round.next());
    // The prize has the room that these had: that it is kept depends neither on the state nor on the winner.
    call.delete(range_key);
    let owned_key = round.owned_key(&winner);
    call.delete(&owned_key.expect("it was checked with the ticket"));
    Ok(Drawn {
        round: round.number(),
        ticket,
        tickets,
        winner,
        asset,
        prize,
    })
}

/// Forgets a few tickets of rounds that are over, so that what is kept does not grow with every round.
fn forget(call: &Call<Config>, round: &mut Round) {
    let Some(prefixes) = round.over() else {
        return;
    };
    let keys = prefixes.iter().flat_map(|it| call.keys(it, None).keys);
    let keys: Vec<String> = keys.take(rules::FORGOTTEN).collect();
    for key in &keys {
        call.delete(key);
    }
    if keys.len() < rules::FORGOTTEN {
        round.forgot();
    }
}

//! Lottery: tickets into a pot, and a winner drawn when it is due, each ticket as likely.
//!
//! All that is paid for tickets is on `plugin:lottery:pot`; at the draw the operator's share goes to
//! `plugin:lottery:fees`, the rest waits on `plugin:lottery:prizes` until the winner claims it. A round
//! without tickets leaves the pot to the next one. The draw mixes in what every buyer has put into draws,
//! so neither a buyer nor the house chooses alone.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Bought, Buy, Claimed, Config, Drawn, Prize, Round, Status, Tickets};

bursar_plugin::plugin! {
    id: "lottery",
    description: "Tickets into a pot, and a winner drawn when it is due.",
    license: "Apache-2.0 OR MIT",
    accounts: ["pot", "prizes", "fees"],
    config: Config,
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
    let (config, caller) = (call.config(), call.caller());
    let round = call.get::<Round>(ROUND)?.unwrap_or_default();
    let owned_key = round.owned_key(&caller)?;
    let owned = call.get::<u64>(&owned_key)?.unwrap_or(0);
    let owned = config.check(owned, buy.tickets())?;
    let sold = round.sell(buy.tickets(), &caller, &call.client_seed())?;
    call.set(&sold.range_key(), &Tickets::of(&caller));
    call.set(&owned_key, &owned);
    call.set(ROUND, &sold);
    let cost = config.cost(buy.tickets())?;
    call.transfer(&caller, &call.own_sub_account("pot"), &config.asset, cost)?;
    Ok(Bought {
        round: sold.number(),
        tickets: owned,
        paid: cost,
    })
}

fn status(call: &Call<Config>, _: NoArguments) -> Result<Status, Decline> {
    let round = call.get::<Round>(ROUND)?.unwrap_or_default();
    let pot = call.balance(&call.own_sub_account("pot"), &call.config().asset)?;
    Ok(round.status(pot.spendable))
}

fn claim(call: &Call<Config>, _: NoArguments) -> Result<Claimed, Decline> {
    let (config, caller) = (call.config(), call.caller());
    let key = rules::prize_key(&caller)?;
    let prize = call.get::<Prize>(&key)?.ok_or_else(rules::nothing_won)?;
    call.delete(&key);
    call.transfer(
        &call.own_sub_account("prizes"),
        &caller,
        &config.asset,
        prize.amount(),
    )?;
    Ok(Claimed {
        amount: prize.amount(),
    })
}

fn draw(call: &Call<Config>, _: u64) -> Result<Drawn, Decline> {
    let config = call.config();
    let round = call.get::<Round>(ROUND)?.unwrap_or_default();
    let tickets = round.tickets()?;
    let [pot, prizes, fees] = ["pot", "prizes", "fees"].map(|sub| call.own_sub_account(sub));
    let held = call.balance(&pot, &config.asset)?.spendable;
    let (prize, fee) = config.share(held)?;
    if let Some(fee) = fee {
        call.transfer(&pot, &fees, &config.asset, fee)?;
    }
    call.transfer(&pot, &prizes, &config.asset, prize)?;
    call.mix(round.mixed());
    // Who has won is known from here on; what is written of it is written in any case.
    let ticket = call.below(tickets, "ticket");
    let page = call.keys(&round.prefix(), Some(&round.key_after(ticket)));
    let key = page.keys.first().ok_or_else(rules::no_such_ticket);
    let winner = key.and_then(|key| call.get::<Tickets>(key)?.ok_or_else(rules::no_such_ticket));
    let winner = winner.expect("each ticket is in one range").owner();
    let prize_key = rules::prize_key(&winner).expect("it was checked with the ticket");
    let before = call.get::<Prize>(&prize_key).expect("a prize is a prize");
    let all = Prize::and(before, prize).expect("there is no more than there is");
    call.set(&prize_key, &all);
    call.set(ROUND, &round.next());
    Ok(Drawn {
        round: round.number(),
        ticket,
        tickets,
        winner,
        prize,
    })
}

//! A lottery: members buy tickets, and a scheduled draw picks the winner. Each ticket is equally likely.
//!
//! The price of tickets goes to `plugin:lottery:pot`. The draw moves the operator's share to
//! `plugin:lottery:fees` and the rest to `plugin:lottery:prizes`, from which the winner claims it.
//!
//! The first ticket of a round fixes its terms: the asset, the price, the limit per member and the operator's
//! share. A change of the configuration applies to the next round. A round without tickets leaves its pot to the
//! next one. The draw mixes in the client seeds of all buyers, so that neither a buyer nor the operator can
//! choose the result alone.

mod prizes;
mod replies;
mod round;
mod terms;

use bursar_plugin::prelude::*;
use prizes::Prize;
use replies::{DrawReply, PrizeReply, StatusReply, TicketReply};
use round::{Round, TicketArguments, Tickets};
use terms::Config;

bursar_plugin::plugin! {
    id: "lottery",
    description: "Members buy tickets for a pot, and a scheduled draw picks the winner.",
    license: "Apache-2.0 OR MIT",
    accounts: ["pot", "prizes", "fees"],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        buy: "Buys tickets of the current round." => fn(TicketArguments) -> TicketReply,
        claim: "Claims a prize that you have won." => fn(NoArguments) -> PrizeReply,
        status: "Shows the current round." => fn(NoArguments) -> StatusReply,
    },
    schedules: {
        draw: "Draws the winner of the round." every 86_400 s from 72_000 s missed skip
            => fn() -> DrawReply,
    },
}

/// The key of the current round.
const ROUND: &str = "round";

fn buy(call: &Call<Config>, arguments: TicketArguments) -> Result<TicketReply, Decline> {
    let caller = call.caller();
    let mut round = call.get::<Round>(ROUND)?.unwrap_or_default();
    arguments.check(&round)?;
    delete_past(call, &mut round);
    let terms = round.terms(call.config())?;
    let owned_key = round.owned_key(&caller)?;
    let owned = call.get::<u64>(&owned_key)?.unwrap_or(0);
    let owned = terms.check(owned, arguments.tickets())?;
    // The owner of a ticket can win, so the key of a prize must fit.
    prizes::key(&caller, &terms.asset)?;
    let sold = round.sell(arguments.tickets(), &terms, &caller, &call.client_seed())?;
    call.set(&sold.range_key(), &Tickets::new(&caller));
    call.set(&owned_key, &owned);
    call.set(ROUND, &sold);
    let cost = terms.cost(arguments.tickets())?;
    call.transfer(&caller, &call.own_sub_account("pot"), &terms.asset, cost)?;
    Ok(TicketReply {
        round: sold.number(),
        tickets: owned,
        paid: cost,
    })
}

fn status(call: &Call<Config>, _: NoArguments) -> Result<StatusReply, Decline> {
    let round = call.get::<Round>(ROUND)?.unwrap_or_default();
    let terms = round.terms(call.config())?;
    let pot = call.balance(&call.own_sub_account("pot"), &terms.asset)?;
    Ok(round.status(pot.spendable, terms))
}

fn claim(call: &Call<Config>, _: NoArguments) -> Result<PrizeReply, Decline> {
    let caller = call.caller();
    let prizes = call.own_sub_account("prizes");
    let prefix = prizes::prefix(&caller)?;
    let keys = call.keys(&prefix, None).keys;
    let key = keys.first().ok_or_else(prizes::nothing_won)?;
    let asset = prizes::asset(&prefix, key)?;
    let prize = call.get::<Prize>(key)?.ok_or_else(prizes::nothing_won)?;
    let amount = prize.amount();
    call.delete(key);
    call.transfer(&prizes, &caller, &asset, amount)?;
    Ok(PrizeReply {
        asset,
        amount,
        more: keys.len() > 1,
    })
}

fn draw(call: &Call<Config>, _: u64) -> Result<DrawReply, Decline> {
    let mut round = call.get::<Round>(ROUND)?.unwrap_or_default();
    delete_past(call, &mut round);
    let tickets = round.tickets()?;
    let terms = round.terms(call.config())?;
    let asset = terms.asset.clone();
    let [pot, prizes, fees] = ["pot", "prizes", "fees"].map(|sub| call.own_sub_account(sub));
    let pot_amount = call.balance(&pot, &asset)?.spendable;
    let (prize, fee) = terms.split(pot_amount)?;
    if let Some(fee) = fee {
        call.transfer(&pot, &fees, &asset, fee)?;
    }
    call.transfer(&pot, &prizes, &asset, prize)?;
    call.mix(round.mixed());
    // From here on the call must not decline: the winner is drawn, and the prize is recorded in any case.
    let ticket = call.below(tickets, "ticket");
    let page = call.keys(&round.prefix(), Some(&round.key_after(ticket)));
    let range_key = page.keys.first().expect("each ticket is in a range");
    let tickets_of = call.get::<Tickets>(range_key);
    let tickets_of = tickets_of.expect("the value of a range can be read");
    let winner = tickets_of.expect("the range exists").owner();
    let prize_key = prizes::key(&winner, &asset);
    let prize_key = prize_key.expect("the key was checked at the purchase");
    let earlier = call.get::<Prize>(&prize_key);
    let earlier = earlier.expect("the value of a prize can be read");
    let total = Prize::add(earlier, prize).expect("no sum exceeds the amount in circulation");
    call.set(&prize_key, &total);
    call.set(ROUND, &round.next());
    // Deleting these keys frees at least the state that the prize takes, so a full state cannot reject the draw.
    call.delete(range_key);
    let owned_key = round.owned_key(&winner);
    call.delete(&owned_key.expect("the key was checked at the purchase"));
    Ok(DrawReply {
        round: round.number(),
        ticket,
        tickets,
        winner,
        asset,
        prize,
    })
}

/// Deletes a few keys of past rounds, so that the state does not grow with every round.
fn delete_past(call: &Call<Config>, round: &mut Round) {
    let Some(prefixes) = round.past_prefixes() else {
        return;
    };
    let keys = prefixes.iter().flat_map(|it| call.keys(it, None).keys);
    let keys: Vec<String> = keys.take(round::DELETED_MAX).collect();
    for key in &keys {
        call.delete(key);
    }
    if keys.len() < round::DELETED_MAX {
        round.past_round_deleted();
    }
}

//! Heads or tails against the house: double or nothing, at even odds.
//!
//! The house's bankroll is `plugin:coinflip`; the operator issues or transfers to it. The stake and
//! the house's side are secured before the draw, so that whether a bet stands never depends on how
//! it ends.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Flip, Flipped, Side};

bursar_plugin::plugin! {
    id: "coinflip",
    description: "Heads or tails: double or nothing at even odds, without an edge for the house.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        flip: "Bets a stake on heads or tails: a win, one in two, pays the stake twice."
            => fn(Flip) -> Flipped,
    },
    odds: rules::odds(),
}

fn flip(call: &Call<Config>, Flip { stake, side }: Flip) -> Result<Flipped, Decline> {
    let (config, caller, bankroll) = (call.config(), call.caller(), call.own_account());
    let payout = config.payout(stake)?;
    call.transfer(&caller, &bankroll, &config.asset, stake)?;
    call.secure(&bankroll, &config.asset, payout)?;
    // From here on nothing may decline: the coin is in the air.
    let landed = Side::of(call.below(2, "side"));
    let won = landed == side;
    if won {
        call.pay_secured(&config.asset, payout);
    }
    Ok(Flipped {
        side: landed,
        won,
        paid: if won { payout.get() } else { 0 },
    })
}

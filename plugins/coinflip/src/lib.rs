//! Heads or tails against the bank: double or nothing, at even odds.
//!
//! The bank is `plugin:coinflip`; the operator fills it. The stake is taken and the payout is secured before
//! the draw, so the result has no influence on the acceptance of a bet.

mod rules;

use bursar_plugin::prelude::*;
use rules::{CoinSide, Config, Flip, FlipReply};

bursar_plugin::plugin! {
    id: "coinflip",
    description: "Heads or tails: double or nothing at even odds, without a house edge.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        flip: "Bets a stake on heads or tails. A win, one in two, pays twice the stake."
            => fn(Flip) -> FlipReply,
    },
    odds: rules::odds(),
}

fn flip(call: &Call<Config>, Flip { stake, side }: Flip) -> Result<FlipReply, Decline> {
    let config = call.config();
    let caller = call.caller();
    let bank = call.own_account();
    let payout = config.payout(stake)?;
    call.transfer(&caller, &bank, &config.asset, stake)?;
    call.secure(&bank, &config.asset, payout)?;
    // A call cannot decline after a draw, so everything that may fail is above this line.
    let drawn = CoinSide::of(call.below(2, "side"));
    let won = drawn == side;
    if won {
        call.pay_secured(&config.asset, payout);
    }
    Ok(FlipReply {
        side: drawn,
        won,
        paid: if won { payout.get() } else { 0 },
    })
}

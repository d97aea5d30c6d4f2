//! A die with a hundred faces: a bet wins if the drawn number is below the number of the bet. A less likely win
//! pays more.
//!
//! The stake and the payout are secured in the bank, `plugin:dice`, before the draw.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Roll, RollReply};

bursar_plugin::plugin! {
    id: "dice",
    description: "Bet that a drawn number from 0 to 99 is below yours. A less likely win pays more.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        roll: "Bets a stake that the drawn number is below `under`." => fn(Roll) -> RollReply,
    },
    odds: rules::odds(),
}

fn roll(call: &Call<Config>, Roll { stake, under }: Roll) -> Result<RollReply, Decline> {
    let config = call.config();
    let caller = call.caller();
    let bank = call.own_account();
    let payout = config.payout(stake, under)?;
    call.transfer(&caller, &bank, &config.asset, stake)?;
    call.secure(&bank, &config.asset, payout)?;
    // From here on the call must not decline: the draw is made.
    let number = call.below(rules::FACES, "roll");
    let won = number < under.get();
    if won {
        call.pay_secured(&config.asset, payout);
    }
    Ok(RollReply {
        number,
        won,
        paid: if won { payout.get() } else { 0 },
    })
}

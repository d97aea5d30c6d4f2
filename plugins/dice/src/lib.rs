//! Dice: a number below a hundred is drawn, and pays if it is below the one that was bet on: the less
//! likely, the more.
//!
//! The stake and the payout are in the bankroll, `plugin:dice`, before anything is drawn.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Roll, Rolled};

bursar_plugin::plugin! {
    id: "dice",
    description: "Bet that a number from 0 to 99 falls below yours: the less likely, the more it pays.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        roll: "Bets a stake that the number drawn is below `under`." => fn(Roll) -> Rolled,
    },
    odds: rules::odds(),
}

fn roll(call: &Call<Config>, Roll { stake, under }: Roll) -> Result<Rolled, Decline> {
    let (config, caller, bankroll) = (call.config(), call.caller(), call.own_account());
    let payout = config.payout(stake, under)?;
    call.transfer(&caller, &bankroll, &config.asset, stake)?;
    call.secure(&bankroll, &config.asset, payout)?;
    // From here on nothing may decline: the die is cast.
    let number = call.below(rules::FACES, "roll");
    let won = number < under.get();
    if won {
        call.pay_secured(&config.asset, payout);
    }
    Ok(Rolled {
        number,
        won,
        paid: if won { payout.get() } else { 0 },
    })
}

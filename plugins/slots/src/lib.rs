//! Slots: three reels of the same symbols, and a paytable that the operator writes.
//!
//! What a spin returns on average follows from the weights and the paytable; `table` says it. The stake
//! and the largest payout are in the bankroll, `plugin:slots`, before anything is drawn.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Spin, Spun, Table};

bursar_plugin::plugin! {
    id: "slots",
    description: "Three reels; what they pay, and how much of it on average, is in the paytable.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        spin: "Bets a stake on three reels." => fn(Spin) -> Spun,
        table: "Says what pays, and what a spin returns on average." => fn(NoArguments) -> Table,
    },
    odds: rules::odds(),
}

fn spin(call: &Call<Config>, Spin { stake }: Spin) -> Result<Spun, Decline> {
    let (config, caller, bankroll) = (call.config(), call.caller(), call.own_account());
    let reel = config.reel()?;
    let most = config.check(stake)?;
    call.transfer(&caller, &bankroll, &config.asset, stake)?;
    call.secure(&bankroll, &config.asset, most)?;
    // From here on nothing may decline: the reels turn.
    let stops =
        ["left", "middle", "right"].map(|label| reel.symbol(call.below(reel.turns(), label)));
    let paid = config.pays(stops, stake);
    if let Some(paid) = paid {
        call.pay_secured(&config.asset, paid);
    }
    Ok(Spun {
        reels: stops.map(|stop| config.name(stop)),
        paid: paid.map_or(0, Amount::get),
    })
}

fn table(call: &Call<Config>, _: NoArguments) -> Result<Table, Decline> {
    call.config().table()
}

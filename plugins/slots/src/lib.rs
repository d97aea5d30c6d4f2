//! A slot machine with three equal reels and a paytable that the operator writes.
//!
//! The average return of a spin follows from the weights and the paytable; `table` shows it. The stake and the
//! largest payout are secured in the bank, `plugin:slots`, before the draw.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Spin, SpinReply, TableReply};

bursar_plugin::plugin! {
    id: "slots",
    description: "Three reels with a paytable, which also shows the average return.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: Config::check_configuration,
    actions: {
        spin: "Bets a stake on three reels." => fn(Spin) -> SpinReply,
        table: "Shows the paytable and the average return of a spin." => fn(NoArguments) -> TableReply,
    },
    odds: rules::odds(),
}

fn spin(call: &Call<Config>, Spin { stake }: Spin) -> Result<SpinReply, Decline> {
    let config = call.config();
    let caller = call.caller();
    let bank = call.own_account();
    let reel = config.reel()?;
    let most = config.check(stake)?;
    call.transfer(&caller, &bank, &config.asset, stake)?;
    call.secure(&bank, &config.asset, most)?;
    // From here on the call must not decline: the draws are made.
    let stops =
        ["left", "middle", "right"].map(|label| reel.symbol(call.below(reel.positions(), label)));
    let paid = config.pays(stops, stake);
    if let Some(paid) = paid {
        call.pay_secured(&config.asset, paid);
    }
    Ok(SpinReply {
        reels: stops.map(|stop| config.name(stop)),
        paid: paid.map_or(0, Amount::get),
    })
}

fn table(call: &Call<Config>, _: NoArguments) -> Result<TableReply, Decline> {
    call.config().table()
}

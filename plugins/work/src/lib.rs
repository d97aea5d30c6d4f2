//! Work: a job now and then, for a pay that is drawn from a range.
//!
//! It is paid from `plugin:work`, which the operator fills. The most that a job may pay is secured
//! before anything is drawn, so an empty account draws nothing.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, Shift, Worked};

bursar_plugin::plugin! {
    id: "work",
    description: "Paid work, now and then: the pay is drawn from a range.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    // Something is remembered of each member.
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        work: "Does a job for its pay." => fn(NoArguments) -> Worked,
    },
}

fn work(call: &Call<Config>, _: NoArguments) -> Result<Worked, Decline> {
    let (config, purse) = (call.config(), call.own_account());
    let key = rules::key(&call.caller())?;
    let shift = config.begin(call.get::<Shift>(&key)?, call.now_ms())?;
    let range = config.range()?;
    call.set(&key, &shift);
    call.secure(&purse, &config.asset, config.most())?;
    // From here on nothing may decline: the work is done.
    let job = config.job(|jobs| call.below(jobs, "job"));
    let pay = config.pay(call.below(range, "pay"));
    call.pay_secured(&config.asset, pay);
    Ok(Worked { job, pay })
}

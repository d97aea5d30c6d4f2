//! Paid jobs with a cooldown. The pay of a job is drawn from a range.
//!
//! The pay comes from `plugin:work`, which the operator fills. The largest pay is secured before the draw, so a
//! call declines before the draw if the account cannot pay it.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Config, LastJob, WorkReply};

bursar_plugin::plugin! {
    id: "work",
    description: "Paid jobs with a cooldown. The pay is drawn from a range.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    // The state has the last job of each member.
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        work: "Does a job for its pay." => fn(NoArguments) -> WorkReply,
    },
}

fn work(call: &Call<Config>, _: NoArguments) -> Result<WorkReply, Decline> {
    let config = call.config();
    let own = call.own_account();
    let key = rules::key(&call.caller())?;
    let job = config.begin(call.get::<LastJob>(&key)?, call.now_ms())?;
    let range = config.range()?;
    call.set(&key, &job);
    call.secure(&own, &config.asset, config.most())?;
    // From here on the call must not decline: the draws are made.
    let job = config.job(|jobs| call.below(jobs, "job"));
    let pay = config.pay(call.below(range, "pay"));
    call.pay_secured(&config.asset, pay);
    Ok(WorkReply { job, pay })
}

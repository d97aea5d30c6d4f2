//! Daily: a reward once a day, more with each day in a row.
//!
//! It is paid from `plugin:daily`, which the operator fills; or, if it is in `coin`, the configuration says
//! so and the grant is there, it is issued. That a member claims once holds under any concurrency: what was read
//! of the last claim must still be true when the next one commits.

mod rules;

use bursar_plugin::prelude::*;
use rules::{Claimed, Config, History};

bursar_plugin::plugin! {
    id: "daily",
    description: "A reward a day, with a streak.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    // Something is remembered of each member.
    permissions: { debit: ["issuer:coin"], state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        claim: "Takes the reward of the day." => fn(NoArguments) -> Claimed,
    },
}

fn claim(call: &Call<Config>, _: NoArguments) -> Result<Claimed, Decline> {
    let (config, caller) = (call.config(), call.caller());
    let key = rules::key(&caller)?;
    let before = call.get::<History>(&key)?;
    let history = config.next(before, call.now_ms())?;
    call.set(&key, &history);
    let amount = config.reward(history.streak())?;
    let source = if config.issues() {
        Account::try_from(format!("issuer:{}", config.asset))?
    } else {
        call.own_account()
    };
    call.transfer(&source, &caller, &config.asset, amount)?;
    Ok(Claimed {
        amount,
        streak: history.streak(),
    })
}

#[cfg(test)]
mod tests {
    use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_can_be_issued_is_what_the_manifest_asks_for() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        let issuer = format!("issuer:{}", rules::ISSUED);
        assert_eq!(manifest["permissions"]["debit"], json!([issuer]));
        let configuration = &manifest["configuration"];
        let other = &configuration["if"]["properties"]["asset"]["not"]["const"];
        assert_eq!(other, rules::ISSUED.as_str());
        assert_eq!(configuration["then"]["properties"]["issue"]["const"], false);
    }
}

//! A daily reward that grows with each consecutive day.
//!
//! The reward is paid from `plugin:daily`, which the operator fills. A reward in `coin` can be issued instead, if
//! the configuration asks for it and the operator grants it. A member cannot claim twice at the same time: a
//! claim commits only if the history that it has read is unchanged.

mod rules;

use bursar_plugin::prelude::*;
use rules::{ClaimHistory, ClaimReply, Config};

bursar_plugin::plugin! {
    id: "daily",
    description: "A daily reward that grows with each consecutive day.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    // The state has the history of each member.
    permissions: { debit: ["issuer:coin"], state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        claim: "Claims the reward of the day." => fn(NoArguments) -> ClaimReply,
    },
}

fn claim(call: &Call<Config>, _: NoArguments) -> Result<ClaimReply, Decline> {
    let config = call.config();
    let caller = call.caller();
    let key = rules::key(&caller)?;
    let previous = call.get::<ClaimHistory>(&key)?;
    let history = config.next(previous, call.now_ms())?;
    call.set(&key, &history);
    let amount = config.reward(history.streak())?;
    let source = if config.issues() {
        Account::try_from(format!("issuer:{}", config.asset))?
    } else {
        call.own_account()
    };
    call.transfer(&source, &caller, &config.asset, amount)?;
    Ok(ClaimReply {
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
    fn the_manifest_requests_the_asset_that_can_be_issued() {
        let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
        let issuer = format!("issuer:{}", rules::ISSUED);
        assert_eq!(manifest["permissions"]["debit"], json!([issuer]));
        let configuration = &manifest["configuration"];
        let other = &configuration["if"]["properties"]["asset"]["not"]["const"];
        assert_eq!(other, rules::ISSUED.as_str());
        assert_eq!(configuration["then"]["properties"]["issue"]["const"], false);
    }
}

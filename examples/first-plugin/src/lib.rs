//! Tips: a member pays another member, who says thanks.

use bursar_plugin::prelude::*;

/// What the operator sets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What tips are paid in.
    asset: Asset,
}

/// The arguments of `tip`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tip {
    /// Who gets it.
    to: Account,
    /// How much.
    amount: Amount,
}

/// The reply to `tip`.
#[derive(Serialize, JsonSchema)]
struct Tipped {
    /// A sentence for the channel.
    thanks: String,
}

bursar_plugin::plugin! {
    id: "tip",
    description: "Tips from member to member.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    actions: {
        tip: "Gives another member some of yours." => fn(Tip) -> Tipped,
    },
}

fn tip(call: &Call<Config>, tip: Tip) -> Result<Tipped, Decline> {
    let (from, asset) = (call.caller(), &call.config().asset);
    if tip.to == from {
        return Err(Decline::new("tips_self", "A tip is for somebody else."));
    }
    call.transfer(&from, &tip.to, asset, tip.amount)?;
    Ok(Tipped {
        thanks: format!("{} thanks {from} for {} {asset}.", tip.to, tip.amount),
    })
}

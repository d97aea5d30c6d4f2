//! Tips: a member pays another member, who says thanks.

use bursar_plugin::prelude::*;

/// The configuration, which the operator writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The asset that tips are paid in.
    asset: Asset,
}

/// The arguments of `tip`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tip {
    /// The member who gets the tip.
    to: Account,
    /// The amount of the tip.
    amount: Amount,
}

/// The reply to `tip`.
#[derive(Serialize, JsonSchema)]
struct TipReply {
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
        tip: "Pays another member." => fn(Tip) -> TipReply,
    },
}

fn tip(call: &Call<Config>, tip: Tip) -> Result<TipReply, Decline> {
    let from = call.caller();
    let asset = &call.config().asset;
    if tip.to == from {
        return Err(Decline::new("tips_self", "You cannot tip yourself."));
    }
    call.transfer(&from, &tip.to, asset, tip.amount)?;
    Ok(TipReply {
        thanks: format!("{} thanks {from} for {} {asset}.", tip.to, tip.amount),
    })
}

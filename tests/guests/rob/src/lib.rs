//! A robbery: a plugin for tests that debits another member by a pattern and draws the result.
//!
//! Both sides pay their largest loss before the draw: the loot and the fine go to the plugin's account. After the
//! draw either the robber gets the fine and a share of the loot, and the victim gets the rest; or the victim gets
//! all of the loot, and the plugin keeps the fine.

use bursar_plugin::prelude::*;

/// The configuration, which the operator writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    asset: Asset,
    /// The largest loot of one robbery.
    most: Amount,
    /// The fine of a robber who is caught.
    fine: Amount,
    /// The chance of success in percent.
    #[schemars(range(max = 100))]
    chance: u32,
}

/// The arguments of `rob`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RobArguments {
    victim: Account,
}

/// The reply to `rob`.
#[derive(Serialize, JsonSchema)]
struct RobReply {
    /// The amount that was debited from the victim before the draw.
    loot: Amount,
    /// The part of the loot that the robber keeps; absent if the robber was caught.
    #[serde(skip_serializing_if = "Option::is_none")]
    stolen: Option<Amount>,
}

bursar_plugin::plugin! {
    id: "rob",
    description: "Takes coins of another member, or pays a fine.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { patterns: ["user:*": read debit] },
    config: Config,
    actions: {
        rob: "Robs a member." => fn(RobArguments) -> RobReply,
    },
}

fn rob(call: &Call<Config>, RobArguments { victim }: RobArguments) -> Result<RobReply, Decline> {
    let config = call.config();
    let asset = &config.asset;
    let fine = config.fine;
    let robber = call.caller();
    let own = call.own_account();
    if victim == robber {
        return Err(Decline::new("robs_self", "You cannot rob yourself."));
    }
    let balance = call.balance(&victim, asset)?;
    let posted = u64::try_from(balance.posted).unwrap_or(0);
    let loot = posted.saturating_sub(balance.held).min(config.most.get());
    let Some(loot) = Amount::new(loot) else {
        return Err(Decline::new("nothing_there", "There is nothing to take."));
    };
    call.transfer(&victim, &own, asset, loot)?;
    call.transfer(&robber, &own, asset, fine)?;
    call.secure(&own, asset, loot.checked_add(fine)?)?;
    if call.below(100, "caught") >= config.chance {
        call.pay_back(&victim, asset, loot);
        return Ok(RobReply { loot, stolen: None });
    }
    let shares = u32::try_from(loot.get()).unwrap_or(u32::MAX);
    let stolen = Amount::new(u64::from(call.below(shares, "share")).saturating_add(1));
    let stolen = stolen.unwrap_or(loot);
    call.pay_secured(asset, fine);
    call.pay_secured(asset, stolen);
    if let Some(rest) = Amount::new(loot.get().saturating_sub(stolen.get())) {
        call.pay_back(&victim, asset, rest);
    }
    Ok(RobReply {
        loot,
        stolen: Some(stolen),
    })
}

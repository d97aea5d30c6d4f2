//! A robbery: takes of another member by a pattern, and draws what becomes of it.
//!
//! The largest loss comes first, on both sides: loot and fine go to the plugin's account before the draw. After
//! it a robber gets a share of the loot and the fine back, and the victim the rest; or the victim gets all of
//! the loot, and the fine stays.

use bursar_plugin::prelude::*;

/// What robberies are like.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    asset: Asset,
    /// The most that one robbery takes.
    most: Amount,
    /// What a robber pays who is caught.
    fine: Amount,
    /// How many of a hundred robbers are not caught.
    #[schemars(range(max = 100))]
    chance: u32,
}

/// Whom to rob.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Victim {
    victim: Account,
}

/// How a robbery went.
#[derive(Serialize, JsonSchema)]
struct Robbery {
    /// What was taken at first.
    loot: Amount,
    /// What the robber keeps of it; nothing if the robber was caught.
    #[serde(skip_serializing_if = "Option::is_none")]
    stolen: Option<Amount>,
}

bursar_plugin::plugin! {
    id: "rob",
    description: "Takes of another member, or pays a fine.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { patterns: ["user:*": read debit] },
    config: Config,
    actions: {
        rob: "Robs a member." => fn(Victim) -> Robbery,
    },
}

fn rob(call: &Call<Config>, Victim { victim }: Victim) -> Result<Robbery, Decline> {
    let config = call.config();
    let (asset, fine) = (&config.asset, config.fine);
    let (robber, own) = (call.caller(), call.own_account());
    if victim == robber {
        return Err(Decline::new("nobody_else", "A robber robs somebody else."));
    }
    let has = call.balance(&victim, asset)?;
    let posted = u64::try_from(has.posted).unwrap_or(0);
    let loot = posted.saturating_sub(has.held).min(config.most.get());
    let Some(loot) = Amount::new(loot) else {
        return Err(Decline::new("nothing_there", "There is nothing to take."));
    };
    call.transfer(&victim, &own, asset, loot)?;
    call.transfer(&robber, &own, asset, fine)?;
    call.secure(&own, asset, loot.checked_add(fine)?)?;
    if call.below(100, "caught") >= config.chance {
        call.pay_back(&victim, asset, loot);
        return Ok(Robbery { loot, stolen: None });
    }
    let of = u32::try_from(loot.get()).unwrap_or(u32::MAX);
    let stolen = Amount::new(u64::from(call.below(of, "share")).saturating_add(1));
    let stolen = stolen.unwrap_or(loot);
    call.pay_secured(asset, fine);
    call.pay_secured(asset, stolen);
    if let Some(rest) = Amount::new(loot.get().saturating_sub(stolen.get())) {
        call.pay_back(&victim, asset, rest);
    }
    Ok(Robbery {
        loot,
        stolen: Some(stolen),
    })
}

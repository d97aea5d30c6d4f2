//! The output of `plugin!` for its optional sections: permissions, holds, schedules and odds.
#![allow(clippy::unnecessary_wraps, reason = "every action has this signature")]

use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
use bursar_plugin::prelude::*;
use bursar_plugin::{Odds, Stake, serde_json};
use serde_json::{Value, json};

#[derive(Serialize, JsonSchema)]
struct Draw {}

bursar_plugin::plugin! {
    id: "probe",
    description: "A plugin for tests.",
    license: "MIT",
    accounts: [],
    permissions: { debit: ["issuer:coin"], state_bytes: 4096, fuel: large },
    config: NoConfig,
    actions: {
        rest: "Does nothing." => fn(NoArguments) -> Draw,
    },
    holds: {
        stake: 3600 s then capture,
        bid: 86400 s then release,
    },
    schedules: {
        draw: "Draws." every 86400 s from 72000 s missed catch_up => fn() -> Draw,
        tidy: "Tidies." every 60 s from 0 s missed skip => fn() -> Draw,
    },
    odds: odds(),
}

fn rest(_: &Call<NoConfig>, _: NoArguments) -> Result<Draw, Decline> {
    Ok(Draw {})
}

fn draw(_: &Call<NoConfig>, _: u64) -> Result<Draw, Decline> {
    Ok(Draw {})
}

fn tidy(_: &Call<NoConfig>, _: u64) -> Result<Draw, Decline> {
    Ok(Draw {})
}

fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "rest",
        description: "Nothing comes back.",
        arguments: json!({}),
        config: json!({}),
        stake: Stake {
            asset: "coin",
            amount: 100,
        },
        returns_ppm: 0,
        follow: Some("/next"),
    }]
}

#[test]
fn each_optional_section_is_in_the_manifest() {
    let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
    let expected = json!({
        "permissions": {
            "read": [], "credit": [], "debit": ["issuer:coin"],
            "state_bytes": 4096, "fuel": "large",
        },
        "holds": {
            "stake": {"expires_in_s": 3600, "on_expiry": "capture"},
            "bid": {"expires_in_s": 86400, "on_expiry": "release"},
        },
        "schedules": [
            {
                "name": "draw", "description": "Draws.",
                "every_s": 86400, "offset_s": 72000, "missed": "catch_up",
            },
            {
                "name": "tidy", "description": "Tidies.",
                "every_s": 60, "offset_s": 0, "missed": "skip",
            },
        ],
        "odds": [{
            "action": "rest", "description": "Nothing comes back.", "arguments": {}, "config": {},
            "stake": {"asset": "coin", "amount": 100}, "returns_ppm": 0, "follow": "/next",
        }],
    });
    for (member, value) in expected.as_object().expect("an object") {
        assert_eq!(&manifest[member], value, "{member}");
    }
}

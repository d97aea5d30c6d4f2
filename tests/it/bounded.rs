//! What bundled plugins keep of their members: it has an end, no member fills it for the others, and what
//! is won, offered or sold is what was agreed, whatever the operator says later.

use bursar_server::bundled;
use bursar_testkit::Economy;
use serde_json::{Value, json};

fn component(name: &str) -> &'static [u8] {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    bundled.expect("it is bundled").bytes
}

/// Coins, gems and potions, three members with 1,000 of each, and a plugin.
fn with(name: &str, config: Value) -> Economy {
    let mut economy = Economy::new(name);
    for asset in ["coin", "gem", "item:potion"] {
        economy.asset(asset);
    }
    for member in ["user:1", "user:2", "user:3"] {
        economy.member(
            member,
            &[("coin", 1000), ("gem", 1000), ("item:potion", 1000)],
        );
    }
    economy.install(component(name), config);
    economy
}

/// A name of so many characters.
fn long_name(chars: usize) -> String {
    format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65))
}

#[test]
fn who_has_too_long_a_name_for_a_reward_or_a_job_is_told_so() {
    let job = json!({"asset": "coin", "pay_min": 1, "pay_max": 3, "cooldown_s": 60});
    let plugins = [
        ("daily/claim", json!({"asset": "coin", "amount": 5})),
        ("work/work", job),
    ];
    for (action, config) in plugins {
        let (name, _) = action.split_once('/').expect("a plugin and its action");
        let mut economy = with(name, config);
        economy.issue(&format!("plugin:{name}"), "coin", 1000);
        for chars in [126, 127] {
            economy.member(&long_name(chars), &[]);
        }
        economy.call(&long_name(126), action, json!({})).reply();
        let long = economy.call(&long_name(127), action, json!({}));
        assert_eq!(long.declined(), "name_too_long");
        assert_eq!(long.sentence(), "A name is too long to be remembered.");
    }
}

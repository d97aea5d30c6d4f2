//! A plugin that fails for everybody is switched off, and the operator is told why; one that fails for a
//! single member is not.

use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, break_off_after_draws, install_malicious};

const PLUGIN: &str = "/v1/economies/guild/plugins/malicious";

/// Calls until the plugin is off: how many calls that took, if so many are enough.
async fn calls_until_off(guild: &mut Guild, action: &str, members: u64, most: u64) -> Option<u64> {
    for number in 0..most {
        let caller = format!("user:{}", number % members + 1);
        let key = format!("{action} {number}");
        let answer = guild
            .call(&format!("malicious/{action}"), &key, &caller, json!({}))
            .await;
        if answer.code() == "plugin_disabled" {
            return Some(number);
        }
        assert!(
            [200, 502, 503].contains(&answer.status.as_u16()),
            "{}",
            answer.json()
        );
    }
    None
}

async fn plugin(guild: &mut Guild) -> Value {
    guild.get(PLUGIN).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_faults_for_everybody_is_switched_off_with_a_reason() {
    let (house, mut guild) = House::with_guild(6).await;
    install_malicious(&mut guild).await;
    assert_eq!(plugin(&mut guild).await["switched_off"], Value::Null);
    let calls = calls_until_off(&mut guild, "spin", 6, 400).await;
    let calls = calls.expect("it is switched off");
    assert!(calls >= 20, "{calls} calls");
    let off = plugin(&mut guild).await;
    assert_eq!(off["enabled"], false);
    let why = off["switched_off"].clone();
    assert_eq!(why["reason"], "faults", "{why}");
    assert_eq!(
        (&why["calls"], &why["faults"]),
        (&json!(calls), &json!(calls))
    );
    assert_eq!(why["callers"], 6);
    assert!(why["cpu_ms"].as_u64().unwrap() >= 1_000, "{why}");
    // The listing and the events say the same.
    let listed = guild.get(&format!("{GUILD}/plugins")).await.json();
    assert_eq!(listed["plugins"][0]["switched_off"], why);
    let events = guild.events().await;
    let mut acts = events
        .iter()
        .filter(|event| event["kind"] == "switch_off_plugin");
    let act = acts.next().expect("it is on record");
    assert_eq!(act["answer"]["switched_off"], why, "{act}");
    assert!(acts.next().is_none(), "once");
    // It stays so, until somebody switches it on again.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    assert_eq!(plugin(&mut guild).await["switched_off"], why);
    let off = guild
        .call("malicious/honest", "off", "user:1", json!({}))
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    guild.made(PLUGIN, json!({"enabled": true})).await;
    assert_eq!(plugin(&mut guild).await["switched_off"], Value::Null);
    let honest = guild
        .call("malicious/honest", "on", "user:1", json!({}))
        .await;
    assert_eq!(honest.status, 200);
    house.close().await;
}

/// Whoever finds arguments with which a shop faults cannot close it for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_members_whose_calls_fault_switch_nothing_off() {
    let (house, mut guild) = House::with_guild(4).await;
    install_malicious(&mut guild).await;
    assert_eq!(calls_until_off(&mut guild, "spin", 4, 120).await, None);
    assert_eq!(plugin(&mut guild).await["enabled"], true);
    house.close().await;
}

/// Previews leave no record from which a switch-off could be explained.
#[tokio::test(flavor = "multi_thread")]
async fn previews_switch_nothing_off() {
    let (house, mut guild) = House::with_guild(6).await;
    install_malicious(&mut guild).await;
    for number in 0..120 {
        let caller = format!("user:{}", number % 6 + 1);
        let body = json!({"caller": caller, "arguments": {}, "preview": true});
        guild
            .post("plugins/malicious/actions/spin", "p", body)
            .await;
    }
    assert_eq!(plugin(&mut guild).await["enabled"], true);
    house.close().await;
}

/// A game that breaks off after its draws says why it is off, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_breaks_off_after_draws_says_so() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    break_off_after_draws(&mut guild, 3).await;
    let off = plugin(&mut guild).await;
    assert_eq!(
        (&off["enabled"], &off["broken_draws"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(off["switched_off"], json!({"reason": "broken_draws"}));
    house.close().await;
}

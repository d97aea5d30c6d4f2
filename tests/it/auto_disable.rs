//! Automatic disabling: a plugin that faults for many callers is disabled with a reason, and one that faults
//! for a few is not.

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, install_malicious, trap_after_draws};

const PLUGIN: &str = "/v1/economies/guild/plugins/malicious";

/// Calls until the plugin is disabled. Returns the number of calls, or none after `most` calls.
async fn calls_until_off(
    guild: &mut GuildClient,
    action: &str,
    members: u64,
    most: u64,
) -> Option<u64> {
    for number in 0..most {
        let caller = format!("user:{}", number % members + 1);
        let key = format!("{action} {number}");
        let response = guild
            .call(&format!("malicious/{action}"), &key, &caller, json!({}))
            .await;
        if response.code() == "plugin_disabled" {
            return Some(number);
        }
        assert!(
            [200, 502, 503].contains(&response.status.as_u16()),
            "{}",
            response.json()
        );
    }
    None
}

async fn plugin(guild: &mut GuildClient) -> Value {
    guild.get(PLUGIN).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_faults_for_all_callers_is_disabled_with_a_reason() {
    let (server, mut guild) = TestServer::with_guild(6).await;
    install_malicious(&mut guild).await;
    assert_eq!(plugin(&mut guild).await["switched_off"], Value::Null);
    let calls = calls_until_off(&mut guild, "spin", 6, 400).await;
    let calls = calls.expect("the plugin is disabled");
    assert!(calls >= 20, "{calls} calls");
    let off = plugin(&mut guild).await;
    assert_eq!(off["enabled"], false);
    let reason = off["switched_off"].clone();
    assert_eq!(reason["reason"], "faults", "{reason}");
    assert_eq!(
        (&reason["calls"], &reason["faults"]),
        (&json!(calls), &json!(calls))
    );
    assert_eq!(reason["callers"], 6);
    assert!(reason["cpu_ms"].as_u64().unwrap() >= 1_000, "{reason}");
    // The list and the events have the same reason.
    let listed = guild.get(&format!("{GUILD}/plugins")).await.json();
    assert_eq!(listed["plugins"][0]["switched_off"], reason);
    let events = guild.events().await;
    let mut acts = events
        .iter()
        .filter(|event| event["kind"] == "switch_off_plugin");
    let act = acts.next().expect("the act is recorded");
    assert_eq!(act["answer"]["switched_off"], reason, "{act}");
    assert!(acts.next().is_none(), "it is recorded once");
    // It stays disabled until the operator enables it.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(plugin(&mut guild).await["switched_off"], reason);
    let off = guild
        .call("malicious/honest", "off", "user:1", json!({}))
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    guild.put_ok(PLUGIN, json!({"enabled": true})).await;
    assert_eq!(plugin(&mut guild).await["switched_off"], Value::Null);
    let honest = guild
        .call("malicious/honest", "on", "user:1", json!({}))
        .await;
    assert_eq!(honest.status, 200);
    server.close().await;
}

/// A member who finds arguments that make a shop fault cannot close it for others.
#[tokio::test(flavor = "multi_thread")]
async fn faulting_calls_of_a_few_members_disable_nothing() {
    let (server, mut guild) = TestServer::with_guild(4).await;
    install_malicious(&mut guild).await;
    assert_eq!(calls_until_off(&mut guild, "spin", 4, 120).await, None);
    assert_eq!(plugin(&mut guild).await["enabled"], true);
    server.close().await;
}

/// Previews leave no record that could explain a disabled plugin.
#[tokio::test(flavor = "multi_thread")]
async fn faulting_previews_disable_nothing() {
    let (server, mut guild) = TestServer::with_guild(6).await;
    install_malicious(&mut guild).await;
    for number in 0..120 {
        let caller = format!("user:{}", number % 6 + 1);
        let body = json!({"caller": caller, "arguments": {}, "preview": true});
        guild
            .post("plugins/malicious/actions/spin", "p", body)
            .await;
    }
    assert_eq!(plugin(&mut guild).await["enabled"], true);
    server.close().await;
}

/// A plugin that traps after its draws is disabled with a reason as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_disabled_for_broken_draws_states_the_reason() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    trap_after_draws(&mut guild, 3).await;
    let off = plugin(&mut guild).await;
    assert_eq!(
        (&off["enabled"], &off["broken_draws"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(off["switched_off"], json!({"reason": "broken_draws"}));
    server.close().await;
}

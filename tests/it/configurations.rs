//! Checks of configurations: all findings at once, and the needs of a plugin.

use bursar_server::bundled;
use bursar_server::client::Response;
use bursar_testkit::{Economy, posting};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{GUILD, TestServer};

const COINFLIP: &str = "/v1/economies/guild/plugins/coinflip";

fn findings_of(response: &Response) -> Vec<(String, String)> {
    assert_eq!(
        (response.status.as_u16(), response.code()),
        (422, "configuration_refused".into()),
        "{}",
        response.json()
    );
    assert_eq!(response.json()["retry"], "never");
    let findings = response.json()["findings"].clone();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = findings.as_array().unwrap().iter();
    findings
        .map(|finding| (text(finding, "pointer"), text(finding, "message")))
        .collect()
}

fn pointers(response: &Response) -> Vec<String> {
    let findings = findings_of(response).into_iter();
    findings.map(|(pointer, _)| pointer).collect()
}

fn coinflip(config: &Value) -> Value {
    json!({"component": "bundled:coinflip", "grants": "requested", "enabled": true, "config": config})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_refused_with_all_findings() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let wrong = json!({"asset": "gem", "min_stake": 10, "max_stake": 9});
    let response = guild.put(COINFLIP, coinflip(&wrong)).await;
    let findings = findings_of(&response);
    assert_eq!(
        findings,
        [
            (
                "/max_stake".into(),
                "the largest stake, 9, is below the smallest, 10".into()
            ),
            (
                "/asset".into(),
                "this economy has no asset `gem`: create it first, or use another one".into()
            ),
        ]
    );
    assert!(guild.get(COINFLIP).await.code() == "plugin_not_found");
    // A configuration that does not match the schema is not passed to the plugin's check.
    let unfit = coinflip(&json!({"asset": "gem", "min_stake": 0, "max_stake": 9}));
    assert_eq!(pointers(&guild.put(COINFLIP, unfit).await), ["/min_stake"]);
    // A later configuration is checked in the same way.
    guild
        .put_ok(COINFLIP, coinflip(&json!({"asset": "coin"})))
        .await;
    let later = guild.put(COINFLIP, json!({ "config": wrong })).await;
    assert_eq!(pointers(&later), ["/max_stake", "/asset"]);
    let stored = guild.get(COINFLIP).await.json();
    assert_eq!(stored["config"], json!({"asset": "coin"}));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_of_a_plugin_are_returned_with_a_request_that_funds_them() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = coinflip(&json!({"asset": "coin", "max_stake": 100}));
    let set = guild.put(COINFLIP, config).await.json();
    let need = json!({
        "account": "plugin:coinflip", "asset": "coin", "at_least": 100, "available": 0, "met": false,
        "fund": {
            "method": "POST", "path": "/v1/economies/guild/issue",
            "body": {"account": "plugin:coinflip", "asset": "coin", "amount": 100},
        },
    });
    assert_eq!(set["needs"], json!([need]));
    assert_eq!(guild.get(COINFLIP).await.json()["needs"], json!([need]));
    let listed = guild.get(&format!("{GUILD}/plugins")).await.json();
    assert_eq!(listed["plugins"][0]["needs"], json!([need]));
    // A part of the need is issued, then the returned request is sent unchanged.
    guild.issue("plugin:coinflip", "coin", 40).await;
    let short = guild.get(COINFLIP).await.json()["needs"][0].clone();
    assert_eq!(
        (
            &short["available"],
            &short["met"],
            &short["fund"]["body"]["amount"]
        ),
        (&json!(40), &json!(false), &json!(60))
    );
    let fund = &short["fund"];
    let path = fund["path"].as_str().unwrap().to_owned();
    let added = guild
        .client
        .post(&path, "fund", &fund["body"])
        .await
        .unwrap();
    assert_eq!(added.status, 201, "{}", added.json());
    let met = guild.get(COINFLIP).await.json()["needs"][0].clone();
    assert_eq!(
        met,
        json!({
            "account": "plugin:coinflip", "asset": "coin", "at_least": 100, "available": 100,
            "met": true,
        })
    );
    // Needs belong to the configuration and change only with it.
    let off = guild.put(COINFLIP, json!({"enabled": false})).await.json();
    assert_eq!(off["needs"], json!([met]));
    let smaller = json!({"config": {"asset": "coin", "max_stake": 5}});
    assert_eq!(
        guild.put(COINFLIP, smaller).await.json()["needs"][0]["at_least"],
        5
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malicious_check_refuses_only_its_own_configuration() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let path = format!("{GUILD}/plugins/malicious");
    let bytes = Bytes::from_static(bundled::MALICIOUS);
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, bytes)
        .await
        .unwrap();
    let malicious = uploaded.json()["component"].clone();
    let body = |check: &str| json!({"component": malicious, "config": {"check": check}});
    let fault = |check: &str| {
        let (_, why) = TRICKS.iter().find(|(name, _)| *name == check).unwrap();
        *why
    };
    for (check, _) in TRICKS {
        let response = guild.put(&path, body(check)).await;
        let findings = findings_of(&response);
        assert_eq!(findings.len(), 1, "{check}");
        let (pointer, message) = &findings[0];
        assert_eq!(pointer, "", "{check}");
        assert!(message.contains(fault(check)), "{check}: {message}");
        assert!(!message.contains('\u{1b}'), "{check}: {message:?}");
    }
    // A finding with control characters is not a fault, but its texts are shown escaped.
    let response = guild.put(&path, body("find_control_characters")).await;
    assert_eq!(
        findings_of(&response),
        [("/\\u{1b}[2J".to_owned(), "\\u{202e}\\u{7}".to_owned())]
    );
    let unknown = guild.put(&path, body("need_of_unknown_account")).await;
    let (pointer, message) = &findings_of(&unknown)[0];
    assert!(
        pointer.is_empty() && message.contains("no account `user:absent`"),
        "{message}"
    );
    assert_eq!(guild.get(&path).await.code(), "plugin_not_found");
    // The server still works, and the malicious plugin is accepted with a valid configuration.
    guild
        .put_ok(
            &path,
            json!({"component": malicious, "enabled": true, "config": {}}),
        )
        .await;
    let honest = guild
        .call("malicious/honest", "k", "user:1", json!({}))
        .await;
    assert_eq!(honest.status, 200);
    server.close().await;
}

/// Unknown names are listed up to a limit, followed by the number of further ones.
#[test]
fn unknown_names_are_counted_beyond_a_limit() {
    let mut plugins = bundled::PLUGINS.iter();
    let shop = plugins.find(|it| it.name == "shop").unwrap().bytes;
    let mut economy = Economy::new("configurations");
    economy.asset("coin");
    let found = |count: usize| {
        let offer = |index| json!({"item": format!("item:{index}"), "price": {"coin": 1}});
        let items: Vec<_> = (0..count).map(offer).collect();
        economy.check(shop, &json!({ "items": items })).findings
    };
    let full = found(64);
    assert_eq!((full.len(), &*full[63].pointer), (64, "/items/63/item"));
    let beyond = found(66);
    assert_eq!(beyond.len(), 65);
    let last = &beyond[64];
    assert_eq!(
        last.to_string(),
        "2 more accounts and assets do not exist in this economy"
    );
}

/// The ways in which the malicious plugin's check misbehaves, each with a part of the resulting message.
pub(crate) const TRICKS: [(&str, &str); 17] = [
    ("find_much", "its report has more than 64 findings"),
    (
        "find_long_words",
        "a text of a finding has more than 512 bytes",
    ),
    (
        "find_nowhere",
        "the pointer of a finding is not a JSON pointer",
    ),
    ("need_much", "its report has more than 64 needs"),
    ("need_of_no_account", "it needs an account `\\u{1b}[2J`"),
    (
        "need_of_an_issuer",
        "it needs a balance of `issuer:coin`, which is an issuer",
    ),
    ("need_of_nothing", "it needs 0 of `coin`"),
    ("ask_for_name", "while checking a configuration"),
    ("ask_for_account", "while checking a configuration"),
    ("read_balance", "while checking a configuration"),
    ("write_state", "while checking a configuration"),
    ("draw", "while checking a configuration"),
    ("write_log", "while checking a configuration"),
    ("spin", "it ran out of fuel"),
    ("eat", "it was stopped"),
    ("recurse", "its stack overflowed"),
    ("give_up", "it gave up"),
];

#[test]
fn the_test_kit_checks_configurations_as_a_server_does() {
    let mut plugins = bundled::PLUGINS.iter();
    let coinflip = plugins.find(|it| it.name == "coinflip").unwrap().bytes;
    let mut economy = Economy::new("configurations");
    let wrong = json!({"asset": "coin", "min_stake": 10, "max_stake": 9});
    let pointers = |economy: &Economy| {
        let report = economy.check(coinflip, &wrong);
        let findings = report.findings.into_iter();
        findings.map(|it| it.pointer).collect::<Vec<_>>()
    };
    assert_eq!(pointers(&economy), ["/max_stake", "/asset"]);
    economy.asset("coin");
    assert_eq!(pointers(&economy), ["/max_stake"]);
    economy.install(coinflip, json!({"asset": "coin", "max_stake": 100}));
    let need = ("plugin:coinflip".to_owned(), "coin".to_owned(), 100);
    assert_eq!(economy.needs("coinflip"), [need]);
    economy.configure("coinflip", json!({"asset": "coin", "max_stake": 5}));
    assert_eq!(economy.needs("coinflip")[0].2, 5);
    // The stated need is exactly enough.
    economy.member("user:1", &[("coin", 10)]);
    economy.issue("plugin:coinflip", "coin", 4);
    let bet = || json!({"stake": 5, "side": "heads"});
    let poor = economy.call("user:1", "coinflip/flip", bet());
    assert_eq!(poor.declined(), "house_cannot_cover");
    economy.issue("plugin:coinflip", "coin", 1);
    let flipped = economy.call("user:1", "coinflip/flip", bet());
    let staked = posting("user:1", "plugin:coinflip", "coin", 5);
    assert_eq!(flipped.postings().first(), Some(&staked));
}

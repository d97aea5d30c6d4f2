//! Versions of a plugin: installations follow newer versions if the operator chose that, and can be rolled
//! back.

use std::path::Path;
use std::process::Command;

use bursar_server::bundled::{self, MALICIOUS};
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes, install_malicious};
use crate::wait::eventually;

const PLUGIN: &str = "/v1/economies/guild/plugins/malicious";

/// Returns the malicious plugin with another version number.
fn version(newer: [u8; 5]) -> Vec<u8> {
    version_of(MALICIOUS, newer)
}

/// Returns a component with another version number. Versions of interfaces follow an `@` and stay.
fn version_of(component: &[u8], other: [u8; 5]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let found: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, window)| window[0] != b'@' && &window[1..] == b"0.1.0")
        .map(|(place, _)| place + 1)
        .collect();
    assert!(!found.is_empty(), "the manifest contains the version");
    for place in found {
        bytes[place..place + 5].copy_from_slice(&other);
    }
    bytes
}

async fn upload(guild: &mut GuildClient, component: Vec<u8>) -> Value {
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, component.into())
        .await;
    let uploaded = uploaded.unwrap();
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    uploaded.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_followed_and_an_older_one_is_not() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let first = guild.get(PLUGIN).await.json()["component"].clone();
    assert_eq!(guild.get(PLUGIN).await.json()["newer"], Value::Null);
    let unasked = upload(&mut guild, version(*b"0.1.1")).await;
    assert_eq!(unasked["version"], "0.1.1");
    let installed = guild.get(PLUGIN).await.json();
    assert_eq!(
        installed["component"], first,
        "the installation does not follow"
    );
    let newer = &installed["newer"];
    assert_eq!(
        (&newer["component"], &newer["version"]),
        (&unasked["component"], &json!("0.1.1"))
    );
    assert_eq!(newer["requested"], installed["requested"]);
    assert_eq!(newer["asks_for_more"], false);
    guild.put_ok(PLUGIN, json!({"follow": true})).await;
    let newer = upload(&mut guild, version(*b"0.2.0")).await;
    let followed = guild.get(PLUGIN).await.json();
    assert_eq!(followed["component"], newer["component"]);
    assert_eq!(
        (followed["enabled"].clone(), followed["previous"].clone()),
        (json!(true), first.clone())
    );
    upload(&mut guild, version(*b"0.0.9")).await;
    assert_eq!(
        guild.get(PLUGIN).await.json()["component"],
        newer["component"]
    );
    let works = guild
        .call("malicious/honest", "k", "user:1", json!({}))
        .await;
    assert_eq!(works.status, 200);
    server.close().await;
}

/// The first version accepted every configuration that matches its schema; the newer one checks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_not_followed_while_its_check_has_findings() {
    let first = include_bytes!("../compat/0.1.0-first/coinflip.wasm");
    let coinflip = bundled::PLUGINS.iter().find(|it| it.name == "coinflip");
    let bytes = coinflip.unwrap().bytes;
    let path = format!("{GUILD}/plugins/coinflip");
    let (server, mut guild) = TestServer::with_guild(1).await;
    let old = upload(&mut guild, first.to_vec()).await["component"].clone();
    let crossed = json!({"asset": "coin", "min_stake": 5, "max_stake": 4});
    let set = json!({
        "component": old, "grants": "requested", "config": crossed, "enabled": true, "follow": true,
    });
    guild.put_ok(&path, set).await;
    upload(&mut guild, version_of(bytes, *b"0.1.1")).await;
    assert_eq!(
        guild.get(&path).await.json()["component"],
        old,
        "the older version stays"
    );
    let config = json!({"asset": "coin", "min_stake": 5, "max_stake": 50});
    guild.put_ok(&path, json!({ "config": config })).await;
    let newer = upload(&mut guild, version_of(bytes, *b"0.1.2")).await;
    let followed = guild.get(&path).await.json();
    assert_eq!(followed["component"], newer["component"]);
    assert_eq!(
        followed["needs"][0]["at_least"], 50,
        "the needs are those of the newer version"
    );
    server.close().await;
}

/// Versions belong to the manifest's id: a newer one is installed under each following name and offered under
/// the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_installed_under_every_following_name() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let first = guild.get(PLUGIN).await.json()["component"].clone();
    for name in ["rogue", "rascal"] {
        let component = first.as_str().unwrap();
        guild.install(name, component, json!({})).await;
    }
    let path = |name: &str| format!("{GUILD}/plugins/{name}");
    for name in ["malicious", "rogue"] {
        guild.put_ok(&path(name), json!({"follow": true})).await;
    }
    let newer = upload(&mut guild, version(*b"0.2.1")).await["component"].clone();
    for name in ["malicious", "rogue"] {
        let followed = guild.get(&path(name)).await.json();
        assert_eq!(
            (
                &followed["component"],
                &followed["previous"],
                &followed["enabled"]
            ),
            (&newer, &first, &json!(true)),
            "{name}"
        );
        let page = guild
            .get(&format!("{}/revisions?limit=1", path(name)))
            .await
            .json();
        let revision = &page["revisions"][0];
        assert_eq!(revision["request"], "FOLLOW", "{name}");
        assert_eq!(
            revision["changes"],
            json!([{"pointer": "/component", "from": first, "to": newer}]),
            "{name}"
        );
    }
    let waits = guild.get(&path("rascal")).await.json();
    assert_eq!(
        (&waits["component"], &waits["newer"]["component"]),
        (&first, &newer)
    );
    server.close().await;
}

/// A command that adds one record does not run the tasks of a server start.
#[tokio::test(flavor = "multi_thread")]
async fn creating_a_key_on_a_file_installs_no_newer_version() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let coinflip = bundled::find("coinflip").expect("it is bundled").bytes;
    let older = upload(&mut guild, version_of(coinflip, *b"0.0.9")).await;
    let path = format!("{GUILD}/plugins/coinflip");
    let installation = json!({
        "component": older["component"], "grants": "requested", "follow": true,
        "config": {"asset": "coin"}, "enabled": true,
    });
    guild.put_ok(&path, installation).await;
    let folder = server.into_folder().await;
    let file = folder.path().join("test.db");
    let head = |file: &Path| {
        let economies = assert_audit_passes(file).economies.into_iter();
        let mut guild = economies.filter(|economy| economy.economy.as_str() == "guild");
        guild.next().expect("it is there").seq
    };
    let before = head(&file);
    let created = Command::new(binary())
        .args(["key", "create", "--scope", "read", "--name", "eye", "--db"])
        .arg(&file)
        .output();
    assert!(created.expect("it runs").status.success());
    assert_eq!(head(&file), before, "the economy has no new record");
    let server = ServerProcess::serve(&file);
    assert!(server.stop());
    assert_eq!(
        head(&file),
        before + 1,
        "the start installed the bundled version"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_rolled_back_and_an_uninstalled_plugin_is_gone() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let first = guild.get(PLUGIN).await.json()["component"].clone();
    let none = guild
        .post(
            "plugins/malicious/rollback",
            "r0",
            json!({"what": "component"}),
        )
        .await;
    assert_eq!(
        (none.status.as_u16(), none.code()),
        (409, "nothing_before".into())
    );
    let newer = upload(&mut guild, version(*b"0.2.0")).await["component"].clone();
    guild
        .install("malicious", newer.as_str().unwrap(), json!({}))
        .await;
    guild.put_ok(PLUGIN, json!({"follow": true})).await;
    let back = guild
        .post(
            "plugins/malicious/rollback",
            "r1",
            json!({"what": "component"}),
        )
        .await;
    assert_eq!(back.status, 200, "{}", back.json());
    assert_eq!(
        (
            back.json()["component"].clone(),
            back.json()["previous"].clone()
        ),
        (first, newer)
    );
    assert_eq!(back.json()["follow"], false, "a rollback ends following");
    let stake = json!({"asset": "coin", "amount": 100});
    let staked = guild
        .call("malicious/stake", "s", "user:1", stake)
        .await
        .json();
    let hold = staked["reply"]["text"].as_str().unwrap().to_owned();
    let removed = guild
        .client
        .send("DELETE", PLUGIN, None, bytes::Bytes::new())
        .await
        .unwrap();
    assert_eq!(removed.status, 200, "{}", removed.json());
    assert_eq!(guild.get(PLUGIN).await.code(), "plugin_not_found");
    // Its hold is captured, as configured, without any request.
    let expired = eventually("the hold expires", async || {
        let hold = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        (hold["status"] == "expired").then_some(())
    });
    expired.await;
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 100);
    assert_eq!(guild.coin_balances(1).await, [900]);
    let gone = guild
        .call("malicious/honest", "k", "user:1", json!({}))
        .await;
    assert_eq!(gone.code(), "plugin_not_found");
    server.close().await;
}

//! Versions of a plugin: a newer one follows where the operator said so, and the one before comes back.

use std::path::Path;
use std::process::Command;

use bursar_server::bundled::{self, MALICIOUS};
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::{GUILD, Guild, House, Process, audited, binary, install_malicious};

const PLUGIN: &str = "/v1/economies/guild/plugins/malicious";

/// The malicious component as another version of itself.
fn version(newer: [u8; 5]) -> Vec<u8> {
    version_of(MALICIOUS, newer)
}

/// A component as another version of itself: names of interfaces have an `@` before theirs.
fn version_of(component: &[u8], other: [u8; 5]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let found: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, window)| window[0] != b'@' && &window[1..] == b"0.1.0")
        .map(|(place, _)| place + 1)
        .collect();
    assert!(!found.is_empty(), "its manifest says a version");
    for place in found {
        bytes[place..place + 5].copy_from_slice(&other);
    }
    bytes
}

async fn upload(guild: &mut Guild, component: Vec<u8>) -> Value {
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, component.into())
        .await;
    let uploaded = uploaded.unwrap();
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    uploaded.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_follows_and_an_older_one_does_not() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let first = guild.get(PLUGIN).await.json()["component"].clone();
    assert_eq!(guild.get(PLUGIN).await.json()["newer"], Value::Null);
    let unasked = upload(&mut guild, version(*b"0.1.1")).await;
    assert_eq!(unasked["version"], "0.1.1");
    let waited_for = guild.get(PLUGIN).await.json();
    assert_eq!(waited_for["component"], first, "nobody said so");
    let newer = &waited_for["newer"];
    assert_eq!(
        (&newer["component"], &newer["version"]),
        (&unasked["component"], &json!("0.1.1"))
    );
    assert_eq!(newer["requested"], waited_for["requested"]);
    assert_eq!(newer["asks_for_more"], false);
    guild.made(PLUGIN, json!({"follow": true})).await;
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
    house.close().await;
}

/// The first version took whatever fits its schema; the newer one looks at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_waits_while_it_finds_something_in_the_configuration() {
    let first = include_bytes!("../museum/0.1.0-first/coinflip.wasm");
    let coinflip = bundled::PLUGINS.iter().find(|it| it.name == "coinflip");
    let bytes = coinflip.unwrap().bytes;
    let path = format!("{GUILD}/plugins/coinflip");
    let (house, mut guild) = House::with_guild(1).await;
    let old = upload(&mut guild, first.to_vec()).await["component"].clone();
    let crossed = json!({"asset": "coin", "min_stake": 5, "max_stake": 4});
    let set = json!({
        "component": old, "grants": "requested", "config": crossed, "enabled": true, "follow": true,
    });
    guild.made(&path, set).await;
    upload(&mut guild, version_of(bytes, *b"0.1.1")).await;
    assert_eq!(guild.get(&path).await.json()["component"], old, "it waits");
    let config = json!({"asset": "coin", "min_stake": 5, "max_stake": 50});
    guild.made(&path, json!({ "config": config })).await;
    let newer = upload(&mut guild, version_of(bytes, *b"0.1.2")).await;
    let followed = guild.get(&path).await.json();
    assert_eq!(followed["component"], newer["component"]);
    assert_eq!(
        followed["needs"][0]["at_least"], 50,
        "it says what it needs"
    );
    house.close().await;
}

/// Versions go by the id of the manifest: it comes under each name that follows, and waits under the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_comes_under_each_name_that_follows() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let first = guild.get(PLUGIN).await.json()["component"].clone();
    for name in ["rogue", "rascal"] {
        let component = first.as_str().unwrap();
        guild.install(name, component, json!({})).await;
    }
    let path = |name: &str| format!("{GUILD}/plugins/{name}");
    for name in ["malicious", "rogue"] {
        guild.made(&path(name), json!({"follow": true})).await;
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
        let told = &page["revisions"][0];
        assert_eq!(told["request"], "FOLLOW", "{name}");
        assert_eq!(
            told["changes"],
            json!([{"pointer": "/component", "from": first, "to": newer}]),
            "{name}"
        );
    }
    let waits = guild.get(&path("rascal")).await.json();
    assert_eq!(
        (&waits["component"], &waits["newer"]["component"]),
        (&first, &newer)
    );
    house.close().await;
}

/// A command that writes one record is no start of a service.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_on_a_file_lets_no_newer_version_in() {
    let (house, mut guild) = House::with_guild(1).await;
    let coinflip = bundled::find("coinflip").expect("it is bundled").bytes;
    let older = upload(&mut guild, version_of(coinflip, *b"0.0.9")).await;
    let path = format!("{GUILD}/plugins/coinflip");
    let installation = json!({
        "component": older["component"], "grants": "requested", "follow": true,
        "config": {"asset": "coin"}, "enabled": true,
    });
    guild.made(&path, installation).await;
    let folder = house.left_behind().await;
    let file = folder.path().join("test.db");
    let head = |file: &Path| {
        let economies = audited(file).economies.into_iter();
        let mut guild = economies.filter(|economy| economy.economy.as_str() == "guild");
        guild.next().expect("it is there").seq
    };
    let before = head(&file);
    let made = Command::new(binary())
        .args(["key", "create", "--scope", "read", "--name", "eye", "--db"])
        .arg(&file)
        .output();
    assert!(made.expect("it runs").status.success());
    assert_eq!(head(&file), before, "nothing happened in the guild");
    let server = Process::serve(&file);
    assert!(server.stop());
    assert_eq!(head(&file), before + 1, "the bundled one came with a start");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_comes_back_and_an_uninstalled_plugin_is_gone() {
    let (house, mut guild) = House::with_guild(1).await;
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
    guild.made(PLUGIN, json!({"follow": true})).await;
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
    assert_eq!(
        back.json()["follow"],
        false,
        "what was sent away does not come back by itself"
    );
    let stake = json!({"asset": "coin", "amount": 100});
    let staked = guild
        .call("malicious/stake", "s", "user:1", stake)
        .await
        .json();
    let hold = staked["reply"]["told"].as_str().unwrap().to_owned();
    let removed = guild
        .client
        .send("DELETE", PLUGIN, None, bytes::Bytes::new())
        .await
        .unwrap();
    assert_eq!(removed.status, 200, "{}", removed.json());
    assert_eq!(guild.get(PLUGIN).await.code(), "plugin_not_found");
    // Its stake is captured, as its rule says, though nobody asks for it.
    let expired = eventually("its stake expires", async || {
        let hold = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        (hold["status"] == "expired").then_some(())
    });
    expired.await;
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 100);
    assert_eq!(guild.coins(1).await, [900]);
    let gone = guild
        .call("malicious/honest", "k", "user:1", json!({}))
        .await;
    assert_eq!(gone.code(), "plugin_not_found");
    house.close().await;
}

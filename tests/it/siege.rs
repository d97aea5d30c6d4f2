//! All of it at once, in a process of its own: every trick again and again, among uploads that must be
//! refused. At the end the process lives, has its memory back, and its books are what they were.

use bursar_server::bundled;
use bursar_server::client::{Address, Client};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::configurations::TRICKS;
use crate::patience::{PATIENCE, PAUSE};
use crate::support::{GUILD, Process, audited, currency, upload};

/// Every action of the malicious plugin that is no fair play, with its arguments.
fn tricks() -> Vec<(&'static str, Value)> {
    let coins = json!({"asset": "coin", "amount": 10});
    let loot = json!({"from": "user:2", "asset": "coin", "amount": 100});
    let peek = json!({"account": "user:2", "asset": "coin"});
    let none = json!({});
    vec![
        ("steal", loot.clone()),
        ("steal_anyway", loot),
        ("forge", coins.clone()),
        ("peek", peek),
        ("spin", none.clone()),
        ("eat", none.clone()),
        ("recurse", none.clone()),
        ("flood_log", none.clone()),
        ("flood_reads", none.clone()),
        ("flood_transfers", coins.clone()),
        ("huge_reply", none.clone()),
        ("decline_after_draw", none),
        ("debit_after_draw", coins.clone()),
        ("pay_unsecured", coins.clone()),
        ("trap_after_draw", coins.clone()),
        ("write_and_trap", coins.clone()),
        ("trap_if_lost", coins.clone()),
        ("decline_if_lost", coins.clone()),
        ("spin_if_lost", coins.clone()),
        ("recurse_if_lost", coins),
    ]
}

/// Uploads of which none may run.
fn refused_uploads() -> Vec<Vec<u8>> {
    let text = |text: &str| wat::parse_str(text).unwrap();
    let mut cut = bundled::MALICIOUS.to_vec();
    cut.truncate(cut.len() / 3);
    let instances = "(core instance (instantiate $m))".repeat(10_000);
    let locals = "i32 ".repeat(50_001);
    vec![
        cut,
        b"\x7fELF".to_vec(),
        text("(module)"),
        text(r#"(component (import "wasi:sockets/network@0.2.6" (instance)))"#),
        text(&format!("(component (core module $m) {instances})")),
        text(&format!(
            "(component (core module (func (local {locals}))))"
        )),
        text("(component (core module (table 10000000 funcref)))"),
    ]
}

async fn furnish(client: &mut Client) {
    let digest = {
        let bytes = bytes::Bytes::from_static(bundled::MALICIOUS);
        let uploaded = client.send("POST", "/v1/components", None, bytes).await;
        uploaded.unwrap().json()["component"].clone()
    };
    let malicious = json!({
        "component": digest, "grants": "requested", "config": {}, "enabled": true,
    });
    for (path, body) in [
        (GUILD.to_owned(), json!({})),
        (format!("{GUILD}/assets/coin"), currency()),
        (format!("{GUILD}/accounts/user:1"), json!({})),
        (format!("{GUILD}/accounts/user:2"), json!({})),
        (format!("{GUILD}/plugins/malicious"), malicious),
    ] {
        let made = client.put(&path, &body).await.unwrap();
        assert_eq!(made.status, 201, "{path}: {}", made.json());
    }
    for account in ["user:1", "user:2", "plugin:malicious"] {
        let body = json!({"account": account, "asset": "coin", "amount": 1_000});
        let issued = client.post(&format!("{GUILD}/issue"), account, &body).await;
        assert_eq!(issued.unwrap().status, 201);
    }
}

/// Everything that harms, at the same moment.
async fn attack(server: &Process, key: &str, round: u64, preview: bool) {
    let mut attackers = JoinSet::new();
    for (action, arguments) in tricks() {
        let mut client = server.client(key);
        attackers.spawn(async move {
            let path = format!("{GUILD}/plugins/malicious/actions/{action}");
            let key = format!("{round} {preview} {action}");
            let body = json!({"caller": "user:1", "arguments": arguments, "preview": preview});
            let answer = client.post(&path, &key, &body).await.unwrap();
            let status = answer.status.as_u16();
            // A reply that tells of a refusal, a decline, a fault or a failure, never a bug; and 409
            // once it is switched off, for having drawn and broken off too often.
            assert!(
                [200, 409, 422, 502, 503].contains(&status),
                "{action}: {}",
                answer.json()
            );
        });
    }
    for (check, _) in TRICKS {
        let mut client = server.client(key);
        attackers.spawn(async move {
            let body = json!({"config": {"check": check}});
            let answer = client
                .put(&format!("{GUILD}/plugins/malicious"), &body)
                .await;
            let answer = answer.unwrap();
            // Where it takes too long on a machine that is busy, it is no finding.
            assert!(
                ["configuration_refused", "call_failed"].contains(&&*answer.code()),
                "{check}: {}",
                answer.json()
            );
        });
    }
    for bytes in refused_uploads() {
        let (server, key) = (server.address.clone(), key.to_owned());
        attackers.spawn(async move {
            // Where others have all places it is told to come again, and does; but it is refused at last.
            let looked_at = timeout(PATIENCE, async {
                loop {
                    let client = Client::new(Address::Tcp(server.clone()), &key);
                    let code = upload(client, bytes.clone()).await.code();
                    if code != "overloaded" {
                        return code;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
            let code = looked_at.await.expect("an upload is looked at in time");
            assert_eq!(code, "component_refused");
        });
    }
    attackers.join_all().await;
}

/// Where the guild's chain of records stands.
async fn head(client: &mut Client) -> Value {
    client.get(GUILD).await.unwrap().json()
}

/// What the members and the plugin have.
async fn coins(client: &mut Client) -> Vec<i64> {
    let mut coins = Vec::new();
    for account in ["user:1", "user:2", "plugin:malicious"] {
        let path = format!("{GUILD}/accounts/{account}");
        let account = client.get(&path).await.unwrap().json();
        coins.push(account["balances"]["coin"]["posted"].as_i64().unwrap());
    }
    coins
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_trick_at_once_the_house_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = Process::serve(&file);
    let key = server.admin_key.clone().unwrap();
    let mut client = server.client(&key);
    furnish(&mut client).await;
    let (head_before, coins_before) = (head(&mut client).await, coins(&mut client).await);
    // What a preview does is not kept: not one byte of the chain may differ.
    attack(&server, &key, 0, true).await;
    assert_eq!(head(&mut client).await, head_before);
    let warm = server.resident_bytes();
    for round in 1..=5 {
        attack(&server, &key, round, true).await;
    }
    assert_eq!(head(&mut client).await, head_before);
    let grown = server.resident_bytes().saturating_sub(warm);
    assert!(grown < 64 << 20, "{grown} bytes were not given back");
    // In earnest the faults are on record, bets that were won are paid, and nothing else moves.
    attack(&server, &key, 0, false).await;
    let coins_after = coins(&mut client).await;
    assert_eq!(coins_after[1], coins_before[1], "nobody else's money moves");
    assert_eq!(
        coins_after.iter().sum::<i64>(),
        coins_before.iter().sum::<i64>(),
        "and none is made"
    );
    let again = json!({"enabled": true});
    let path = format!("{GUILD}/plugins/malicious");
    assert_eq!(client.put(&path, &again).await.unwrap().status, 200);
    let honest = json!({"caller": "user:1", "arguments": {}});
    let path = format!("{path}/actions/honest");
    let answer = client.post(&path, "honest", &honest).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(server.stop(), "it lives, and ends in order");
    audited(&file);
}

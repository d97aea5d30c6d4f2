//! All attacks concurrently, in a separate process: every malicious action and check repeatedly, together
//! with uploads that must be refused. Afterwards the process still runs, its memory is released, and its
//! books are unchanged.

use bursar_server::bundled;
use bursar_server::client::{Address, Client};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::configurations::TRICKS;
use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes, currency, upload};
use crate::wait::{POLL_INTERVAL, TIMEOUT};

/// Returns every malicious action of the test plugin, with its arguments.
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

/// Returns components that must be refused.
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

async fn create_economy(client: &mut Client) {
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
        let created = client.put(&path, &body).await.unwrap();
        assert_eq!(created.status, 201, "{path}: {}", created.json());
    }
    for account in ["user:1", "user:2", "plugin:malicious"] {
        let body = json!({"account": account, "asset": "coin", "amount": 1_000});
        let issued = client.post(&format!("{GUILD}/issue"), account, &body).await;
        assert_eq!(issued.unwrap().status, 201);
    }
}

/// Runs all attacks concurrently.
async fn attack(server: &ServerProcess, key: &str, round: u64, preview: bool) {
    let mut attackers = JoinSet::new();
    for (action, arguments) in tricks() {
        let mut client = server.client(key);
        attackers.spawn(async move {
            let path = format!("{GUILD}/plugins/malicious/actions/{action}");
            let key = format!("{round} {preview} {action}");
            let body = json!({"caller": "user:1", "arguments": arguments, "preview": preview});
            let response = client.post(&path, &key, &body).await.unwrap();
            let status = response.status.as_u16();
            // The status of a reply, a decline, a fault or a failure, never of an internal error; and 409
            // once the plugin is disabled for broken draws.
            assert!(
                [200, 409, 422, 502, 503].contains(&status),
                "{action}: {}",
                response.json()
            );
        });
    }
    for (check, _) in TRICKS {
        let mut client = server.client(key);
        attackers.spawn(async move {
            let body = json!({"config": {"check": check}});
            let response = client
                .put(&format!("{GUILD}/plugins/malicious"), &body)
                .await;
            let response = response.unwrap();
            // On a busy machine the check may exceed its deadline, which is not a finding.
            assert!(
                ["configuration_refused", "call_failed"].contains(&&*response.code()),
                "{check}: {}",
                response.json()
            );
        });
    }
    for bytes in refused_uploads() {
        let server = server.address.clone();
        let key = key.to_owned();
        attackers.spawn(async move {
            // An upload is sent again while all slots are in use, until it is refused for its content.
            let checked = timeout(TIMEOUT, async {
                loop {
                    let client = Client::new(Address::Tcp(server.clone()), &key);
                    let code = upload(client, bytes.clone()).await.code();
                    if code != "overloaded" {
                        return code;
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            });
            let code = checked.await.expect("the upload is checked in time");
            assert_eq!(code, "component_refused");
        });
    }
    attackers.join_all().await;
}

/// Returns the economy with the head of its records.
async fn head(client: &mut Client) -> Value {
    client.get(GUILD).await.unwrap().json()
}

/// Returns the coins of the members and the plugin.
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
async fn all_attacks_at_once_leave_books_and_memory_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = ServerProcess::serve(&file);
    let key = server.admin_key.clone().unwrap();
    let mut client = server.client(&key);
    create_economy(&mut client).await;
    let head_before = head(&mut client).await;
    let coins_before = coins(&mut client).await;
    // Previews are not stored: the head must not change.
    attack(&server, &key, 0, true).await;
    assert_eq!(head(&mut client).await, head_before);
    let warm = server.resident_bytes();
    for round in 1..=5 {
        attack(&server, &key, round, true).await;
    }
    assert_eq!(head(&mut client).await, head_before);
    let grown = server.resident_bytes().saturating_sub(warm);
    assert!(grown < 64 << 20, "{grown} bytes were not released");
    // Real calls record their faults and pay bets that were won; nothing else moves.
    attack(&server, &key, 0, false).await;
    let coins_after = coins(&mut client).await;
    assert_eq!(
        coins_after[1], coins_before[1],
        "money of other members does not move"
    );
    assert_eq!(
        coins_after.iter().sum::<i64>(),
        coins_before.iter().sum::<i64>(),
        "the sum is unchanged"
    );
    let again = json!({"enabled": true});
    let path = format!("{GUILD}/plugins/malicious");
    assert_eq!(client.put(&path, &again).await.unwrap().status, 200);
    let honest = json!({"caller": "user:1", "arguments": {}});
    let path = format!("{path}/actions/honest");
    let response = client.post(&path, "honest", &honest).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(&file);
}

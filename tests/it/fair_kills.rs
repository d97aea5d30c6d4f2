//! Nonces of draws while the server is killed: every nonce is recorded or burned, and none is used twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bursar_server::client::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fair::{nonce_of_next_flip, open_table};
use crate::server_process::ServerProcess;
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes, install_malicious};
use crate::wait::eventually;

/// The least and the greatest number of kills. After the least one the test ends once a call was killed between its
/// draw and its commit.
const KILLS: std::ops::RangeInclusive<usize> = 3..=20;

/// Returns the recorded nonces: of calls that have drawn, and burned ones. Asserts that none occurs twice.
async fn nonces(guild: &mut GuildClient) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut drawn = BTreeSet::new();
    let mut burned = BTreeSet::new();
    for event in guild.events().await {
        if let Some(nonce) = event["answer"]["draws"]["nonce"].as_u64() {
            assert!(drawn.insert(nonce), "nonce {nonce} is recorded twice");
        }
        let gone = event["answer"]["nonces"].as_array().into_iter().flatten();
        for nonce in gone.filter_map(Value::as_u64) {
            assert!(burned.insert(nonce), "nonce {nonce} was burned twice");
        }
    }
    assert!(drawn.is_disjoint(&burned), "a burned nonce has no draws");
    (drawn, burned)
}

/// Calls an action repeatedly on one connection, each time under another key, until the server is gone.
/// Returns the nonces of the responses.
async fn call_until_disconnected(
    mut client: Client,
    action: &'static str,
    key: String,
    arguments: Value,
    answered: Arc<AtomicUsize>,
) -> Vec<u64> {
    let path = format!("{GUILD}/plugins/{action}");
    let body = json!({"caller": "user:1", "arguments": arguments});
    let mut nonces_returned = Vec::new();
    for number in 0.. {
        let key = format!("{key} {number}");
        let Ok(response) = client.post(&path, &key, &body).await else {
            break;
        };
        if response.status == 200 {
            nonces_returned.push(response.json()["draws"]["nonce"].as_u64().unwrap());
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    nonces_returned
}

/// Flips on some connections. On others the malicious plugin computes with a balance that each flip changes,
/// so that those calls have drawn and run again while later nonces commit. Then the server is killed.
async fn kill_during_draws(process: &mut ServerProcess, admin_key: &str, kill: usize) -> Vec<u64> {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let (action, arguments) = if number % 4 == 0 {
            let arguments = json!({"asset": "coin", "amount": 1, "turns": 500_000});
            ("malicious/actions/ponder", arguments)
        } else {
            let bet = json!({"stake": 1, "side": "heads"});
            ("coinflip/actions/flip", bet)
        };
        calls.spawn(call_until_disconnected(
            process.client(admin_key),
            action,
            format!("kill {kill} call {number}"),
            arguments,
            Arc::clone(&answered),
        ));
    }
    let enough = eventually("calls are answered", async || {
        (answered.load(Ordering::SeqCst) >= 10 + 3 * kill).then_some(())
    });
    enough.await;
    process.kill();
    calls.join_all().await.into_iter().flatten().collect()
}

/// Calls are killed between draw and commit. Their draws were never returned: the nonce is recorded as burned
/// and no nonce is used twice.
#[tokio::test(flavor = "multi_thread")]
async fn every_nonce_is_accounted_for_after_kills_between_draw_and_commit() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    install_malicious(&mut guild).await;
    let file = server.file();
    let admin_key = server.admin_key.clone();
    let folder = server.into_folder().await;
    let mut nonces_returned = BTreeSet::new();
    for kill in 1..=*KILLS.end() {
        let mut process = ServerProcess::serve(&file);
        for nonce in kill_during_draws(&mut process, &admin_key, kill).await {
            assert!(
                nonces_returned.insert(nonce),
                "nonce {nonce} was used twice"
            );
        }
        let process = ServerProcess::serve(&file);
        let mut guild = GuildClient {
            client: process.client(&admin_key),
        };
        // This call commits after the start has burned the lost nonces, so its nonce is the last.
        let last = nonce_of_next_flip(&mut guild, &format!("after {kill}")).await;
        nonces_returned.insert(last);
        let (drawn, burned) = nonces(&mut guild).await;
        assert!(
            nonces_returned.is_subset(&drawn),
            "every returned nonce is recorded"
        );
        let accounted: BTreeSet<u64> = drawn.union(&burned).copied().collect();
        assert_eq!(accounted, (1..=last).collect());
        assert!(process.stop());
        if KILLS.contains(&kill) && !burned.is_empty() {
            break;
        }
        assert!(kill < *KILLS.end(), "no call was killed after its draw");
    }
    assert_audit_passes(&file);
    drop(folder);
}

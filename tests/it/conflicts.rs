//! Calls that conflict with other commits: they run again and are given up after the last attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{GUILD, TestServer, install_malicious};

/// Issues coins to a member one by one until `running` is false. Returns the number of coins of each client.
fn issue_continuously(server: &TestServer, running: &Arc<AtomicBool>) -> JoinSet<u64> {
    let mut issuing = JoinSet::new();
    for client_number in 0..2 {
        let mut client = server.admin();
        let running = Arc::clone(running);
        issuing.spawn(async move {
            let coin = json!({"account": "user:1", "asset": "coin", "amount": 1});
            let mut issued_coins = 0;
            while running.load(Ordering::SeqCst) {
                let key = format!("client {client_number} coin {issued_coins}");
                let issued = client.post(&format!("{GUILD}/issue"), &key, &coin).await;
                assert_eq!(issued.unwrap().status, 201);
                issued_coins += 1;
            }
            issued_coins
        });
    }
    issuing
}

/// A plugin computes for a long time with a balance that others change in every attempt. Its call ends as a
/// conflict: nothing has moved, its draws are burned and not repeated for another key, and its key is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_conflicts_in_every_attempt_is_given_up_and_moves_nothing() {
    let server = TestServer::with_setup(|setup| {
        // Every attempt completes, even on a busy machine.
        setup.limits.fuel = 1 << 40;
        setup.limits.deadline = Duration::from_mins(5);
    });
    let (server, mut guild) = server.await.with_members(1).await;
    install_malicious(&mut guild).await;
    let arguments = json!({"asset": "coin", "amount": 10, "turns": 20_000_000});
    let running = Arc::new(AtomicBool::new(true));
    let issuing = issue_continuously(&server, &running);
    // On a busy machine no coin may be issued during one of the eight attempts; then another call is made.
    let mut committed = 0;
    let mut given_up = None;
    for number in 0..20 {
        let key = format!("k{number}");
        let response = guild.call("malicious/ponder", &key, "user:1", arguments.clone());
        let response = response.await;
        if response.status != 200 {
            given_up = Some((key, response));
            break;
        }
        committed += 1;
    }
    running.store(false, Ordering::SeqCst);
    let issued_coins: u64 = issuing.join_all().await.iter().sum();
    let (key, response) = given_up.expect("a call conflicts in all eight attempts");
    assert_eq!(
        (
            response.status.as_u16(),
            response.code(),
            response.retry_after
        ),
        (503, "conflict".into(), Some(1))
    );
    let outcome = guild.get(&format!("{GUILD}/outcomes/{key}")).await;
    assert_eq!(outcome.code(), "outcome_not_found");
    let plugin = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    let conflicts = &plugin["conflicts"];
    assert_eq!(conflicts["given_up"], 1);
    // The first of the eight attempts is not counted as a repetition.
    assert!(conflicts["ran_again"].as_u64() >= Some(7), "{conflicts}");
    let taken = 10 * committed;
    assert_eq!(guild.posted("plugin:malicious", "coin").await, taken);
    let left = 1_000 + i64::try_from(issued_coins).unwrap() - taken;
    assert_eq!(guild.posted("user:1", "coin").await, left);

    let mut events = guild.events().await;
    events.retain(|event| event["outcome"] == "broken");
    let [broken] = events.as_slice() else {
        panic!("one call has burned a nonce: {events:?}");
    };
    let nonce = &broken["answer"]["draws"]["nonce"];
    let other = guild.call("malicious/ponder", "other", "user:1", arguments.clone());
    let other = other.await.json();
    assert!(other["draws"]["nonce"].as_u64() > nonce.as_u64());
    let again = guild
        .call("malicious/ponder", &key, "user:1", arguments)
        .await;
    assert_eq!(again.status, 200, "{}", again.json());
    assert_eq!(&again.json()["draws"]["nonce"], nonce);
    server.close().await;
}

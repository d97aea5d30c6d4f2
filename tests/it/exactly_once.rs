//! One key has one effect and one response, whatever the network and the clients do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bursar_server::client::Response;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{GUILD, TestServer, posting};
use crate::wait::TIMEOUT;

const CONNECTIONS: u64 = 64;
const REQUESTS: u64 = 200;

/// Returns the key of a request: every fourth key is also used by one other connection.
fn key(connection: u64, request: u64) -> String {
    if request.is_multiple_of(4) {
        format!("shared {} {request}", connection / 2)
    } else {
        format!("own {connection} {request}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_applied_once_under_64_connections() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.issue("user:1", "coin", 1_000_000).await;
    let before = guild.coin_balances(2).await;
    let mut load = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut client = server.admin();
        load.spawn(async move {
            let mut responses = Vec::new();
            for request in 0..REQUESTS {
                let key = key(connection, request);
                let body = posting("user:1", "user:2", 1);
                let response = client
                    .post(&format!("{GUILD}/transfers"), &key, &body)
                    .await;
                responses.push((key, response.expect("a response")));
            }
            responses
        });
    }
    let mut by_key: BTreeMap<String, Vec<Response>> = BTreeMap::new();
    for (key, response) in load.join_all().await.into_iter().flatten() {
        by_key.entry(key).or_default().push(response);
    }
    for (key, responses) in &by_key {
        let first = responses
            .iter()
            .filter(|response| !response.replayed)
            .count();
        assert_eq!(first, 1, "{key} was applied once");
        assert!(
            responses.iter().all(|response| response.status == 201),
            "{key}"
        );
        assert!(
            responses
                .iter()
                .all(|response| response.body == responses[0].body),
            "{key}"
        );
    }
    let keys = i64::try_from(by_key.len()).unwrap();
    let duplicates = CONNECTIONS * REQUESTS - by_key.len() as u64;
    assert_eq!(
        duplicates,
        CONNECTIONS * REQUESTS / 8,
        "one in four keys is used by two connections"
    );
    let after = guild.coin_balances(2).await;
    assert_eq!((before[0] - after[0], after[1] - before[1]), (keys, keys));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_refused_for_another_request() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let mut with_memo = posting("user:1", "user:2", 1);
    with_memo["memo"] = json!("thanks");
    guild.post("transfers", "k", with_memo.clone()).await;
    let reused = async |guild: &mut crate::support::GuildClient, path: &str, body| {
        let response = guild.post(path, "k", body).await;
        assert_eq!(response.status, 422);
        assert_eq!(response.code(), "idempotency_key_reused");
        response.json()["field"].as_str().unwrap().to_owned()
    };
    let mut other_memo = with_memo.clone();
    other_memo["memo"] = json!("no thanks");
    assert_eq!(reused(&mut guild, "transfers", other_memo).await, "/memo");
    let without = posting("user:1", "user:2", 1);
    assert_eq!(reused(&mut guild, "transfers", without).await, "/memo");
    let mut elsewhere = with_memo.clone();
    elsewhere["postings"][0]["to"] = json!("user:3");
    assert_eq!(
        reused(&mut guild, "transfers", elsewhere).await,
        "/postings"
    );
    let issue = json!({"account": "user:1", "asset": "coin", "amount": 1});
    assert_eq!(reused(&mut guild, "issue", issue).await, "path");
    assert_eq!(guild.coin_balances(3).await, [999, 1001, 1000]);
    // Another member order and other white space make the same request.
    let same = format!(
        "{{ \"memo\" : \"thanks\", \"postings\": {} }}",
        with_memo["postings"]
    );
    let path = format!("{GUILD}/transfers");
    let response = guild
        .client
        .send("POST", &path, Some("k"), same.into())
        .await
        .unwrap();
    assert!(response.replayed);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_replays_under_another_api_key() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let first = guild.transfer("k", "user:1", "user:2", 5).await;
    let other = guild
        .put("/v1/keys/next", json!({"scopes": ["transfer"]}))
        .await
        .json();
    let mut client = server.client(other["key"].as_str().unwrap());
    let path = format!("{GUILD}/transfers");
    let again = client
        .post(&path, "k", &posting("user:1", "user:2", 5))
        .await
        .unwrap();
    assert!(again.replayed && again.body == first.body);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_does_not_undo_its_request() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.issue("user:1", "coin", 1_000_000).await;
    let began = Instant::now();
    let mut number = 0_u32;
    let mut outlived = 0;
    while outlived < 5 || number < 50 {
        assert!(
            began.elapsed() < TIMEOUT,
            "of {number} requests only {outlived} were applied after their connection was dropped"
        );
        let mut client = server.admin();
        let key = format!("k{number}");
        let body = posting("user:1", "user:2", 1);
        let path = format!("{GUILD}/transfers");
        // The client gives up at another point of the request each time.
        let patience = Duration::from_micros(100) * (number % 50) * (1 + number / 50);
        let sent = timeout(patience, client.post(&path, &key, &body)).await;
        drop(client);
        let is_answered = matches!(sent, Ok(Ok(_)));
        // An unanswered request can be sent again, and the response tells whether it had been applied.
        let again = guild.transfer(&key, "user:1", "user:2", 1).await;
        assert_eq!(again.status, 201);
        assert!(
            again.replayed || !is_answered,
            "{key} was answered and applied again"
        );
        outlived += u32::from(again.replayed && !is_answered);
        number += 1;
    }
    let paid = i64::from(number);
    assert_eq!(
        guild.coin_balances(2).await,
        [1_001_000 - paid, 1_000 + paid]
    );
    server.close().await;
}

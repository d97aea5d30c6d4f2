//! Memory for request bodies: it is reserved before a body is read, with a share for each economy, and
//! requests beyond it are refused.

use std::sync::Arc;
use std::time::Duration;

use bursar_server::bodies::{BodyBounds, BodyLimiter, SMALL_BODY_BYTES_MAX};
use bursar_server::client::Response;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{GUILD, GuildClient, TestServer, posting};
use crate::workspace;

const BATCH: &str = "/v1/economies/guild/transfers/batch";

/// Returns a batch of one transfer, padded with spaces to this many bytes.
fn batch(key: &str, bytes: usize) -> Bytes {
    let mut item = posting("user:1", "user:2", 1);
    item["idempotency_key"] = json!(key);
    let mut text = json!({ "mode": "independent", "transfers": [item] }).to_string();
    text.push_str(&" ".repeat(bytes - text.len()));
    text.into()
}

/// Starts a server with these bounds of body memory, and returns the memory.
async fn with_body_memory(bounds: BodyBounds) -> (TestServer, GuildClient, Arc<BodyLimiter>) {
    let bodies = Arc::new(BodyLimiter::new(bounds));
    let room = Arc::clone(&bodies);
    let server = TestServer::with_setup(|setup| setup.bodies = room).await;
    let (server, guild) = server.with_members(2).await;
    (server, guild, bodies)
}

/// Returns the standard bounds with a very short wait.
fn with_short_wait() -> BodyBounds {
    BodyBounds {
        patience: Duration::from_millis(1),
        ..BodyBounds::standard()
    }
}

fn is_overloaded(response: &Response) -> bool {
    response.status == 503
        && response.code() == "overloaded"
        && response.json()["retry"] == "same_key"
        && response.retry_after.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_large_bodies_stay_within_their_memory_and_each_is_answered() {
    let (server, mut guild, bodies) = with_body_memory(BodyBounds::standard()).await;
    let bytes = 8 << 20;
    let mut requests = JoinSet::new();
    for number in 0..12 {
        let mut client = server.admin().with_patience(Duration::from_mins(2));
        requests.spawn(async move {
            let body = batch(&format!("k{number}"), bytes);
            client
                .send("POST", BATCH, None, body)
                .await
                .expect("a response")
        });
    }
    let responses = requests.join_all().await;
    let done = responses
        .iter()
        .filter(|response| response.status == 200)
        .count();
    let away = responses
        .iter()
        .filter(|response| is_overloaded(response))
        .count();
    assert_eq!(done + away, 12, "each has a response");
    assert!(done >= 2, "at least as many as fit");
    let share = BodyBounds::standard().large.bytes_per_economy;
    let small = BodyBounds::standard().small.bytes_per_economy;
    assert!(bodies.peak() >= bytes && bodies.peak() <= share + small);
    let moved = i64::try_from(done).unwrap();
    assert_eq!(guild.coin_balances(2).await, [1000 - moved, 1000 + moved]);
    assert_eq!(bodies.held(), 0, "all memory is released");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_are_served_if_the_memory_for_large_ones_is_used_up() {
    let (server, mut guild, bodies) = with_body_memory(with_short_wait()).await;
    let guilds = "guild".parse().unwrap();
    let other = "other".parse().unwrap();
    let half = BodyBounds::standard().large.bytes_per_economy;
    let share = bodies.admit(&guilds, half).await.expect("memory is free");
    let mut client = server.admin();
    let large = batch("large", SMALL_BODY_BYTES_MAX + 1);
    let refused = client
        .send("POST", BATCH, None, large.clone())
        .await
        .unwrap();
    assert!(
        is_overloaded(&refused),
        "the economy's share is used up: {}",
        refused.json()
    );
    let rest = bodies.admit(&other, half).await.expect("memory is free");
    drop(share);
    let most = bodies.admit(&guilds, half - SMALL_BODY_BYTES_MAX).await;
    let refused = client
        .send("POST", BATCH, None, large.clone())
        .await
        .unwrap();
    assert!(
        is_overloaded(&refused),
        "all memory is used up: {}",
        refused.json()
    );
    let small = batch("small", SMALL_BODY_BYTES_MAX);
    let small = client.send("POST", BATCH, None, small).await.unwrap();
    assert_eq!(small.status, 200, "{}", small.json());
    let single = guild.transfer("single", "user:1", "user:2", 1).await;
    assert_eq!(single.status, 201);
    drop((rest, most));
    let created = client.send("POST", BATCH, None, large).await.unwrap();
    assert_eq!(created.status, 200, "{}", created.json());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_of_one_economy_leave_memory_for_other_economies() {
    let (server, mut guild, bodies) = with_body_memory(with_short_wait()).await;
    guild.put_ok("/v1/economies/other", json!({})).await;
    let share = BodyBounds::standard().small.bytes_per_economy;
    let economy = "guild".parse().unwrap();
    let mut held = Vec::new();
    for _ in 0..share / SMALL_BODY_BYTES_MAX {
        let room = bodies.admit(&economy, SMALL_BODY_BYTES_MAX);
        held.push(room.await.expect("memory is free"));
    }
    let refused = guild.transfer("k", "user:1", "user:2", 1).await;
    assert!(is_overloaded(&refused), "{}", refused.json());
    guild
        .put_ok("/v1/economies/other/accounts/user:1", json!({}))
        .await;
    // A request without a valid key is refused before it reserves memory.
    let mut unknown = server.client("bsk_unknown_0000");
    let path = format!("{GUILD}/transfers");
    let refused = unknown
        .post(&path, "k", &posting("user:1", "user:2", 1))
        .await;
    assert_eq!(refused.unwrap().status, 401);
    drop(held);
    assert_eq!(guild.transfer("k", "user:1", "user:2", 1).await.status, 201);
    server.close().await;
}

/// Sends a head and a body unchanged and returns the status line.
async fn raw(server: &TestServer, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let key = &server.admin_key;
    let head = format!("{head}\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut response = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read(&mut response));
    let read = read.await.expect("a response").unwrap();
    let response = String::from_utf8_lossy(&response[..read]).into_owned();
    response.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_counts_as_the_maximum_of_its_route() {
    let (server, _guild, bodies) = with_body_memory(BodyBounds::standard()).await;
    assert!(bodies.peak() < 1_000, "only small bodies were read so far");
    let head = format!("PUT {GUILD}/accounts/user:7 HTTP/1.1\r\nTransfer-Encoding: chunked");
    let response = raw(&server, &head, b"2\r\n{}\r\n0\r\n\r\n").await;
    assert_eq!(response, "HTTP/1.1 201 Created");
    assert_eq!(bodies.peak(), 64 << 10);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_a_too_large_content_length_is_refused_before_it_is_read() {
    let (server, _guild, bodies) = with_body_memory(BodyBounds::standard()).await;
    let before = bodies.peak();
    let head = |bytes: usize| format!("POST {BATCH} HTTP/1.1\r\nContent-Length: {bytes}");
    let waits = format!("{}\r\nExpect: 100-continue", head((8 << 20) + 1));
    let beyond = raw(&server, &waits, b"").await;
    assert_eq!(beyond, "HTTP/1.1 413 Payload Too Large");
    let beyond = raw(&server, &head((8 << 20) + 1), &batch("k", (8 << 20) + 1)).await;
    assert_eq!(beyond, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(bodies.peak(), before, "nothing was admitted");
    let most = raw(&server, &head(8 << 20), &batch("k", 8 << 20)).await;
    assert_eq!(most, "HTTP/1.1 200 OK");
    server.close().await;
}

/// Bodies are parsed in one place for all routes; otherwise another parser could accept other bodies.
#[test]
fn bodies_are_read_and_parsed_in_one_place() {
    let mut found = Vec::new();
    for source in workspace::read("engine/server/src/http", |_| true) {
        let (_, name) = source.path.rsplit_once('/').unwrap();
        let shipped = source.text.split("mod tests {").next().unwrap_or_default();
        let lines = shipped.lines().filter(|line| {
            let parses = [
                "serde_json::from_",
                "Json::parse(",
                "json::parse(",
                "CanonicalReader::new(",
                ".frame()",
                "to_bytes(",
            ];
            // The server's own responses and cursors are no request bodies.
            let ours = ["answer.body", "made.body", "hex::decode"];
            parses.iter().any(|word| line.contains(word))
                && !ours.iter().any(|word| line.contains(word))
        });
        found.extend(lines.map(|line| format!("{name}: {}", line.trim())));
    }
    found.sort();
    let expected = [
        "batches.rs: let mut reader = CanonicalReader::new(body)?;",
        "batches.rs: let mut whole = json::parse(body)?;",
        "extract.rs: let mut body = json::parse(bytes)?;",
        "extract.rs: let mut reader = CanonicalReader::new(bytes)?;",
        "extract.rs: while let Some(frame) = body.frame().await {",
        "intake.rs: && let Ok(Some(Ok(_))) = timeout_at(until, self.body.frame()).await",
        "intake.rs: let Ok(frame) = timeout_at(due, self.body.frame()).await else {",
        "json.rs: Json::parse(text).map_err(|error| {",
    ];
    assert_eq!(found, expected);
}

//! Bodies have room before they are read: so much in all, a share for each economy, and a word for who
//! finds none.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bursar_server::bodies::{BodyBounds, BodyLimiter, SMALL_BODY_BYTES_MAX};
use bursar_server::client::Response;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{GUILD, Guild, House, posting};

const BATCH: &str = "/v1/economies/guild/transfers/batch";

/// A batch of one transfer, with blanks up to so many bytes.
fn batch(key: &str, bytes: usize) -> Bytes {
    let mut item = posting("user:1", "user:2", 1);
    item["idempotency_key"] = json!(key);
    let mut text = json!({ "mode": "independent", "transfers": [item] }).to_string();
    text.push_str(&" ".repeat(bytes - text.len()));
    text.into()
}

/// A guild whose server has this room, and the room.
async fn with_room(bounds: BodyBounds) -> (House, Guild, Arc<BodyLimiter>) {
    let bodies = Arc::new(BodyLimiter::new(bounds));
    let room = Arc::clone(&bodies);
    let house = House::set_up(|setup| setup.bodies = room).await;
    let (house, guild) = house.furnished(2).await;
    (house, guild, bodies)
}

/// Nobody waits for long.
fn impatient() -> BodyBounds {
    BodyBounds {
        patience: Duration::from_millis(1),
        ..BodyBounds::standard()
    }
}

fn turned_away(answer: &Response) -> bool {
    answer.status == 503
        && answer.code() == "overloaded"
        && answer.json()["retry"] == "same_key"
        && answer.retry_after.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_at_once_stay_within_their_room_and_each_is_answered() {
    let (house, mut guild, bodies) = with_room(BodyBounds::standard()).await;
    let bytes = 8 << 20;
    let mut context = JoinSet::new();
    for number in 0..12 {
        let mut client = house.admin().with_patience(Duration::from_mins(2));
        context.spawn(async move {
            let body = batch(&format!("k{number}"), bytes);
            client
                .send("POST", BATCH, None, body)
                .await
                .expect("an answer")
        });
    }
    let answers = context.join_all().await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let away = answers.iter().filter(|answer| turned_away(answer)).count();
    assert_eq!(done + away, 12, "each has an answer");
    assert!(done >= 2, "as many as there is room for");
    let share = BodyBounds::standard().large.bytes_per_economy;
    let small = BodyBounds::standard().small.bytes_per_economy;
    assert!(bodies.peak() >= bytes && bodies.peak() <= share + small);
    let moved = i64::try_from(done).unwrap();
    assert_eq!(guild.coins(2).await, [1000 - moved, 1000 + moved]);
    assert_eq!(bodies.held(), 0, "all room is free again");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_for_large_bodies_small_ones_are_served() {
    let (house, mut guild, bodies) = with_room(impatient()).await;
    let (guilds, other) = ("guild".parse().unwrap(), "other".parse().unwrap());
    let half = BodyBounds::standard().large.bytes_per_economy;
    let share = bodies.admit(&guilds, half).await.expect("there is room");
    let mut client = house.admin();
    let large = batch("large", SMALL_BODY_BYTES_MAX + 1);
    let refused = client
        .send("POST", BATCH, None, large.clone())
        .await
        .unwrap();
    assert!(
        turned_away(&refused),
        "its share is taken: {}",
        refused.json()
    );
    let rest = bodies.admit(&other, half).await.expect("there is room");
    drop(share);
    let most = bodies.admit(&guilds, half - SMALL_BODY_BYTES_MAX).await;
    let refused = client
        .send("POST", BATCH, None, large.clone())
        .await
        .unwrap();
    assert!(turned_away(&refused), "all is taken: {}", refused.json());
    let small = batch("small", SMALL_BODY_BYTES_MAX);
    let small = client.send("POST", BATCH, None, small).await.unwrap();
    assert_eq!(small.status, 200, "{}", small.json());
    let single = guild.transfer("single", "user:1", "user:2", 1).await;
    assert_eq!(single.status, 201);
    drop((rest, most));
    let made = client.send("POST", BATCH, None, large).await.unwrap();
    assert_eq!(made.status, 200, "{}", made.json());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_of_one_economy_leave_room_for_those_of_others() {
    let (house, mut guild, bodies) = with_room(impatient()).await;
    guild.made("/v1/economies/other", json!({})).await;
    let share = BodyBounds::standard().small.bytes_per_economy;
    let (economy, mut held) = ("guild".parse().unwrap(), Vec::new());
    for _ in 0..share / SMALL_BODY_BYTES_MAX {
        let room = bodies.admit(&economy, SMALL_BODY_BYTES_MAX);
        held.push(room.await.expect("there is room"));
    }
    let refused = guild.transfer("k", "user:1", "user:2", 1).await;
    assert!(turned_away(&refused), "{}", refused.json());
    guild
        .made("/v1/economies/other/accounts/user:1", json!({}))
        .await;
    // Whoever may not ask is told so, and takes no room.
    let mut stranger = house.client("bsk_nobody_0000");
    let path = format!("{GUILD}/transfers");
    let refused = stranger
        .post(&path, "k", &posting("user:1", "user:2", 1))
        .await;
    assert_eq!(refused.unwrap().status, 401);
    drop(held);
    assert_eq!(guild.transfer("k", "user:1", "user:2", 1).await.status, 201);
    house.close().await;
}

/// Sends a head and a body as they are, and gives the first line of the answer.
async fn raw(house: &House, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let key = &house.admin_key;
    let head = format!("{head}\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read(&mut answer));
    let read = read.await.expect("an answer").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_length_that_is_not_said_counts_as_the_most_that_its_route_takes() {
    let (house, _guild, bodies) = with_room(BodyBounds::standard()).await;
    assert!(bodies.peak() < 1_000, "only small bodies so far");
    let head = format!("PUT {GUILD}/accounts/user:7 HTTP/1.1\r\nTransfer-Encoding: chunked");
    let answer = raw(&house, &head, b"2\r\n{}\r\n0\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 201 Created");
    assert_eq!(bodies.peak(), 64 << 10);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_to_be_too_large_is_refused_before_it_is_read() {
    let (house, _guild, bodies) = with_room(BodyBounds::standard()).await;
    let before = bodies.peak();
    let head = |bytes: usize| format!("POST {BATCH} HTTP/1.1\r\nContent-Length: {bytes}");
    let waits = format!("{}\r\nExpect: 100-continue", head((8 << 20) + 1));
    let beyond = raw(&house, &waits, b"").await;
    assert_eq!(beyond, "HTTP/1.1 413 Payload Too Large");
    let beyond = raw(&house, &head((8 << 20) + 1), &batch("k", (8 << 20) + 1)).await;
    assert_eq!(beyond, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(bodies.peak(), before, "nothing was admitted");
    let most = raw(&house, &head(8 << 20), &batch("k", 8 << 20)).await;
    assert_eq!(most, "HTTP/1.1 200 OK");
    house.close().await;
}

/// The text of a body is looked at in one place, whatever its route: else somebody parses it again.
#[test]
fn bodies_are_read_and_parsed_in_one_place() {
    let http = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/server/src/http");
    let mut found = Vec::new();
    let mut folders = vec![http];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("mod tests {").next().unwrap_or_default();
            let lines = shipped.lines().filter(|line| {
                let parses = [
                    "serde_json::from_",
                    "Json::parse(",
                    "json::parse(",
                    ".frame()",
                    "to_bytes(",
                ];
                // Answers and cursors of ours are no bodies of requests.
                let ours = ["answer.body", "made.body", "hex::decode"];
                parses.iter().any(|word| line.contains(word))
                    && !ours.iter().any(|word| line.contains(word))
            });
            found.extend(lines.map(|line| format!("{name}: {}", line.trim())));
        }
    }
    found.sort();
    let expected = [
        "batches.rs: let mut whole = json::parse(body)?;",
        "extract.rs: let mut body = json::parse(bytes)?;",
        "extract.rs: while let Some(frame) = body.frame().await {",
        "intake.rs: && let Ok(Some(Ok(_))) = timeout_at(until, self.body.frame()).await",
        "intake.rs: match timeout_at(due, self.body.frame()).await {",
        "json.rs: Json::parse(text).map_err(|error| {",
    ];
    assert_eq!(found, expected);
}

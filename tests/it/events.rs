//! Events: every record of an economy in order, as pages and as a stream that can be resumed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::support::{GUILD, GuildClient, TestServer, posting};
use crate::webhook_receiver::Receiver;

/// The longest wait for an expected event.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A client of an event stream that reads line by line.
pub(crate) struct Stream {
    lines: Lines<BufReader<TcpStream>>,
}

impl Stream {
    async fn open(server: &TestServer, key: &str, last: Option<&str>) -> Self {
        Self::of(server, GUILD, key, last).await
    }

    async fn of(server: &TestServer, economy: &str, key: &str, last: Option<&str>) -> Self {
        let (head, lines) = ask(server, economy, key, last).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("x-accel-buffering: no"), "{head}");
        Self { lines }
    }

    /// Returns the next event with its id; none when the server has ended the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        let mut id = None;
        let mut data = None;
        let waited = tokio::time::timeout(TIMEOUT, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(value) = line.strip_prefix("id: ") {
                    id = Some(value.to_owned());
                }
                if let Some(value) = line.strip_prefix("data: ") {
                    data = Some(serde_json::from_str(value).unwrap());
                }
                if line.is_empty() && data.is_some() {
                    break;
                }
            }
        });
        waited.await.expect("an event, or the end of the stream");
        let data = data?;
        Some((id.expect("an event has an id"), data))
    }
}

/// Requests a stream and returns the response head and the lines that follow.
pub(crate) async fn ask(
    server: &TestServer,
    economy: &str,
    key: &str,
    last: Option<&str>,
) -> (String, Lines<BufReader<TcpStream>>) {
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
    let head = format!(
        "GET {economy}/events HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {key}\r\n\
         Accept: text/event-stream\r\nConnection: close\r\n{last}\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(connection).lines();
    let mut head = String::new();
    while let Some(line) = lines.next_line().await.unwrap().filter(|it| !it.is_empty()) {
        head.push_str(&line);
        head.push('\n');
    }
    assert!(
        head.to_lowercase().contains("cache-control: no-store\n"),
        "{head}"
    );
    (head, lines)
}

/// Reads all events in pages of three and returns them with the last position.
async fn read_all_pages(guild: &mut GuildClient) -> (Vec<Value>, String) {
    let mut events: Vec<Value> = Vec::new();
    let mut after = String::from("0");
    loop {
        let path = format!("{GUILD}/events?after={after}&limit=3");
        let page = guild.get(&path).await.json();
        let found = page["events"].as_array().unwrap().clone();
        assert!(found.len() <= 3);
        let next = page["next_after"].as_str().unwrap().to_owned();
        let newest = events
            .last()
            .map_or(Value::Null, |last| last["hash"].clone());
        if found.is_empty() {
            assert_eq!(next, after, "the last page is empty");
            assert_eq!(page["head"]["seq"], events.len());
            assert_eq!(page["head"]["hash"], newest);
            return (events, after);
        }
        events.extend(found);
        assert_eq!(events.last().unwrap()["position"], *next);
        after = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_events_have_every_record_of_the_economy_in_order() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.put_ok("/v1/economies/other", json!({})).await;
    guild.transfer("paid", "user:1", "user:2", 30).await;
    guild.transfer("refused", "user:1", "user:2", 5000).await;
    let (events, after) = read_all_pages(&mut guild).await;
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    let by_key = |key: &str| {
        events
            .iter()
            .find(|event| event["idempotency_key"] == key)
            .unwrap()
    };
    let paid = by_key("paid");
    assert_eq!(
        (&paid["kind"], &paid["outcome"]),
        (&json!("transfer"), &json!("applied"))
    );
    assert_eq!(paid["answer"]["balances"]["user:2"]["coin"], 1030);
    assert_eq!(paid["request"]["body"], posting("user:1", "user:2", 30));
    assert_eq!(by_key("refused")["outcome"], "rejected");
    assert!(
        !events
            .iter()
            .any(|event| event.to_string().contains("other"))
    );
    // A sequence number is accepted as a position, and the response returns the full position.
    let newest = guild
        .get(&format!("{GUILD}/events?after={}", events.len()))
        .await;
    assert_eq!(newest.json()["next_after"], *after);
    for wrong in [
        "limit=0",
        "limit=501",
        "after=-1",
        "after=",
        "after=1-",
        "after=1-00",
        "before=3",
    ] {
        assert_eq!(
            guild.get(&format!("{GUILD}/events?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_reconnects_at_random_misses_no_event() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let load = {
        let mut client = server.admin();
        tokio::spawn(async move {
            for number in 0..150 {
                let body = posting("user:1", "user:2", 1);
                let key = format!("k{number}");
                client
                    .post(&format!("{GUILD}/transfers"), &key, &body)
                    .await
                    .unwrap();
            }
        })
    };
    let mut seen: Vec<u64> = Vec::new();
    let mut random: u64 = 5;
    let mut last: Option<String> = None;
    while seen.last() != Some(&156) {
        let mut stream = Stream::open(&server, &server.admin_key, last.as_deref()).await;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for _ in 0..=(random >> 33) % 40 {
            if seen.last() == Some(&156) {
                break;
            }
            let (id, event) = stream.next().await.expect("an event");
            let seq = event["seq"].as_u64().unwrap();
            let hash = event["hash"].as_str().unwrap();
            assert_eq!(id, format!("{seq}-{}", &hash[..16]));
            seen.push(seq);
            last = Some(id);
        }
    }
    load.await.unwrap();
    assert_eq!(guild.get(GUILD).await.json()["seq"], 156);
    assert_eq!(seen, (1..=156).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_with_the_server() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let created = guild
        .put("/v1/keys/follower", json!({"scopes": ["read"]}))
        .await
        .json();
    let key = created["key"].as_str().unwrap().to_owned();
    let head = guild.get(GUILD).await.json()["seq"].to_string();
    let mut revoked = Stream::open(&server, &key, Some(&head)).await;
    let mut lasting = Stream::open(&server, &server.admin_key, Some(&head)).await;
    guild
        .put_ok("/v1/keys/follower", json!({"revoked": true}))
        .await;
    assert!(
        revoked.next().await.is_none(),
        "a stream ends with its key, even without events"
    );
    guild.transfer("k", "user:1", "user:2", 1).await;
    assert_eq!(lasting.next().await.unwrap().1["idempotency_key"], "k");
    server.close().await;
    assert!(lasting.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_of_an_economy_are_bounded_by_its_quota() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(Stream::open(&server, &server.admin_key, None).await);
    }
    guild.put_ok("/v1/economies/other", json!({})).await;
    let ask = async |economy: &str| {
        let path = format!("/v1/economies/{economy}");
        ask(&server, &path, &server.admin_key, None).await.0
    };
    assert!(ask("guild").await.starts_with("HTTP/1.1 422"));
    assert!(ask("other").await.starts_with("HTTP/1.1 200"));
    let quotas = format!("{GUILD}/quotas");
    let used = guild.get(&quotas).await.json()["quotas"]["streams"]["used"].clone();
    assert_eq!(used, 32);
    guild.put_ok(&quotas, json!({"streams": 33})).await;
    assert!(
        ask("guild").await.contains("200"),
        "the operator raised the quota"
    );
    drop(streams);
    server.close().await;
}

/// If each commit made every idle stream read, streams of silent economies would overload the server.
#[tokio::test(flavor = "multi_thread")]
async fn idle_streams_read_nothing_while_another_economy_moves() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut streams = Vec::new();
    for number in 0..4 {
        let economy = format!("/v1/economies/silent{number}");
        guild.put_ok(&economy, json!({})).await;
        for _ in 0..8 {
            let mut stream = Stream::of(&server, &economy, &server.admin_key, None).await;
            assert_eq!(
                stream.next().await.unwrap().1["seq"],
                1,
                "the stream has read all events"
            );
            streams.push(stream);
        }
    }
    let before = server.storage.event_reads();
    assert!(before >= 32);
    for number in 0..200 {
        let paid = guild
            .transfer(&format!("k{number}"), "user:1", "user:2", 1)
            .await;
        assert_eq!(paid.status, 201);
    }
    assert_eq!(server.storage.event_reads(), before);
    // Streams of an economy are notified of its own commits.
    let asset = "/v1/economies/silent2/assets/coin";
    guild
        .put_ok(asset, json!({"kind": "currency", "name": "Coin"}))
        .await;
    for stream in &mut streams[16..24] {
        assert_eq!(stream.next().await.unwrap().1["kind"], "set_asset");
    }
    assert_eq!(server.storage.event_reads(), before + 8);
    drop(streams);
    server.close().await;
}

/// Idle webhooks must not read either.
#[tokio::test(flavor = "multi_thread")]
async fn idle_webhooks_read_nothing_while_another_economy_moves() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    let silent = "/v1/economies/silent";
    guild.put_ok(silent, json!({})).await;
    for number in 0..4 {
        let path = format!("{silent}/webhooks/w{number}");
        guild
            .put_ok(&path, json!({"url": receiver.url, "kinds": ["set_asset"]}))
            .await;
    }
    let coin = json!({"kind": "currency", "name": "Coin"});
    guild
        .put_ok(&format!("{silent}/assets/coin"), coin.clone())
        .await;
    receiver
        .until("every webhook has the event", |attempts| {
            attempts.len() == 4
        })
        .await;
    let before = server.storage.event_reads();
    for number in 0..200 {
        guild
            .transfer(&format!("k{number}"), "user:1", "user:2", 1)
            .await;
    }
    assert_eq!(server.storage.event_reads(), before);
    guild.put_ok(&format!("{silent}/assets/gem"), coin).await;
    receiver
        .until("every webhook has the event", |attempts| {
            attempts.len() == 8
        })
        .await;
    server.close().await;
}

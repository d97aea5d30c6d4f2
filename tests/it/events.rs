//! Events: every record of an economy, in order, as pages and as a stream that can be taken up again.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::support::{GUILD, House, posting};

/// A stream of events, read line by line as a browser does.
struct Stream {
    lines: Lines<BufReader<TcpStream>>,
}

impl Stream {
    async fn open(house: &House, key: &str, last: Option<u64>) -> Self {
        let mut connection = TcpStream::connect(house.address()).await.unwrap();
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = format!(
            "GET {GUILD}/events HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {key}\r\n\
             Accept: text/event-stream\r\nConnection: close\r\n{last}\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(connection).lines();
        let status = lines.next_line().await.unwrap().unwrap();
        assert!(status.contains("200"), "{status}");
        Self { lines }
    }

    /// The next event; none when the server has ended the stream.
    async fn next(&mut self) -> Option<(u64, Value)> {
        let mut number = None;
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some(id) = line.strip_prefix("id: ") {
                number = Some(id.parse().unwrap());
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).unwrap();
                // The fields come in any order, so the event itself says which it is.
                return Some((number.unwrap_or(event["seq"].as_u64().unwrap()), event));
            }
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_events_have_every_record_in_order_and_nothing_of_others() {
    let (house, mut guild) = House::with_guild(2).await;
    guild.made("/v1/economies/other", json!({})).await;
    guild.transfer("paid", "user:1", "user:2", 30).await;
    guild.transfer("refused", "user:1", "user:2", 5000).await;
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("{GUILD}/events?after={after}&limit=3");
        let page = guild.get(&path).await.json();
        let found = page["events"].as_array().unwrap().clone();
        assert!(found.len() <= 3);
        after = page["next_after"].as_u64().unwrap();
        if found.is_empty() {
            assert_eq!(page["head"]["seq"], after, "that was all of it");
            assert_eq!(
                page["head"]["hash"],
                events
                    .last()
                    .map_or(Value::Null, |last: &Value| last["hash"].clone())
            );
            break;
        }
        events.extend(found);
    }
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
    for wrong in ["limit=0", "limit=501", "after=-1", "before=3"] {
        assert_eq!(
            guild.get(&format!("{GUILD}/events?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_breaks_off_at_random_misses_nothing() {
    let (house, mut guild) = House::with_guild(2).await;
    let load = {
        let mut client = house.admin();
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
    let (mut seen, mut dice): (Vec<u64>, u64) = (Vec::new(), 5);
    while seen.last() != Some(&156) {
        let mut stream = Stream::open(&house, &house.admin_key, seen.last().copied()).await;
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for _ in 0..=(dice >> 33) % 40 {
            if seen.last() == Some(&156) {
                break;
            }
            let (number, event) = stream.next().await.expect("the server goes on");
            assert_eq!(event["seq"], number);
            seen.push(number);
        }
    }
    load.await.unwrap();
    assert_eq!(guild.get(GUILD).await.json()["seq"], 156);
    assert_eq!(seen, (1..=156).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_with_the_server() {
    let (house, mut guild) = House::with_guild(2).await;
    let made = guild
        .put("/v1/keys/follower", json!({"scopes": ["read"]}))
        .await
        .json();
    let key = made["key"].as_str().unwrap().to_owned();
    let head = guild.get(GUILD).await.json()["seq"].as_u64();
    let mut revoked = Stream::open(&house, &key, head).await;
    let mut lasting = Stream::open(&house, &house.admin_key, head).await;
    guild
        .made("/v1/keys/follower", json!({"revoked": true}))
        .await;
    guild.transfer("k", "user:1", "user:2", 1).await;
    assert!(
        revoked.next().await.is_none(),
        "nothing is told under a key that was revoked"
    );
    assert_eq!(lasting.next().await.unwrap().1["idempotency_key"], "k");
    house.close().await;
    assert!(lasting.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_economy_has_32_streams_and_leaves_the_rest_to_others() {
    let (house, mut guild) = House::with_guild(1).await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(Stream::open(&house, &house.admin_key, None).await);
    }
    guild.made("/v1/economies/other", json!({})).await;
    let ask = async |economy: &str| {
        let mut connection = TcpStream::connect(house.address()).await.unwrap();
        let head = format!(
            "GET /v1/economies/{economy}/events HTTP/1.1\r\nHost: bursar\r\n\
             Authorization: Bearer {}\r\nAccept: text/event-stream\r\n\r\n",
            house.admin_key
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(connection)
            .lines()
            .next_line()
            .await
            .unwrap()
            .unwrap()
    };
    assert!(ask("guild").await.contains("503"));
    assert!(ask("other").await.contains("200"));
    drop(streams);
    house.close().await;
}

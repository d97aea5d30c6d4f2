//! What keys may move in one request, and how often they may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_server::client::Client;
use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, posting};

/// Makes a key and opens a connection with it.
async fn made(house: &House, guild: &mut Guild, name: &str, body: Value) -> Client {
    let made = guild.put(&format!("/v1/keys/{name}"), body).await.json();
    house.client(made["key"].as_str().expect("a secret"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_moves_its_cap_in_one_request_and_not_one_more_by_any_way() {
    let (house, mut guild) = House::with_guild(2).await;
    let config = json!({"asset": "coin", "max_stake": 100});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 500).await;
    let scopes = json!(["transfer", "issue", "call", "admin"]);
    let body = json!({"scopes": scopes, "transfer_cap": {"coin": 20}});
    let mut bot = made(&house, &mut guild, "bot", body).await;
    let coins = |amount: u64| json!({"account": "user:1", "asset": "coin", "amount": amount});
    let flip = |stake: u64, limit: Value| {
        let arguments = json!({"stake": stake, "side": "heads"});
        json!({"caller": "user:1", "arguments": arguments, "spend_limit": limit})
    };
    let path = |route: &str| format!("{GUILD}/{route}");
    let action = path("plugins/coinflip/actions/flip");

    let at = posting("user:1", "user:2", 20);
    let paid = bot.post(&path("transfers"), "at", &at).await.unwrap();
    assert_eq!(paid.status, 201);
    for (route, key) in [("issue", "issue at"), ("burn", "burn at")] {
        let moved = bot.post(&path(route), key, &coins(20)).await.unwrap();
        assert_eq!(moved.status, 201, "{}", moved.json());
    }
    let called = bot.post(&action, "call at", &flip(20, Value::Null)).await;
    assert_eq!(called.unwrap().status, 200);

    let beyond = posting("user:1", "user:2", 21);
    let refused = bot
        .post(&path("transfers"), "beyond", &beyond)
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "transfer_cap".into())
    );
    let no = refused.json();
    assert_eq!(
        (&no["asset"], &no["cap"], &no["asked"]),
        (&json!("coin"), &json!(20), &json!(21))
    );
    assert_eq!(no["retry"], "new_key");
    for (route, key) in [("issue", "issue beyond"), ("burn", "burn beyond")] {
        let moved = bot.post(&path(route), key, &coins(21)).await.unwrap();
        assert_eq!(moved.code(), "transfer_cap");
    }
    let item = json!({"idempotency_key": "item", "postings": beyond["postings"]});
    let batch = json!({"mode": "independent", "transfers": [item]});
    let batch = bot
        .post(&path("transfers/batch"), "-", &batch)
        .await
        .unwrap();
    assert_eq!(batch.json()["results"][0]["body"]["code"], "transfer_cap");
    let previewed = bot
        .post(&path("transfers?preview=true"), "-", &beyond)
        .await;
    assert_eq!(previewed.unwrap().code(), "transfer_cap");
    for (key, limit) in [
        ("call beyond", Value::Null),
        ("call wider", json!({"coin": 50})),
    ] {
        let called = bot.post(&action, key, &flip(21, limit)).await.unwrap();
        assert_eq!(called.code(), "declined", "{}", called.json());
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_cap_is_kept_and_another_cap_holds_at_once() {
    let (house, mut guild) = House::with_guild(2).await;
    let body = json!({"scopes": ["transfer"], "transfer_cap": {"coin": 20}});
    let mut bot = made(&house, &mut guild, "bot", body).await;
    let transfers = format!("{GUILD}/transfers");
    let beyond = posting("user:1", "user:2", 21);
    let refused = bot.post(&transfers, "beyond", &beyond).await.unwrap();
    assert_eq!(refused.code(), "transfer_cap");
    guild
        .made("/v1/keys/bot", json!({"transfer_cap": null}))
        .await;
    let again = bot.post(&transfers, "beyond", &beyond).await.unwrap();
    assert!(again.replayed && again.body == refused.body);
    let freed = bot.post(&transfers, "freed", &beyond).await.unwrap();
    assert_eq!(freed.status, 201);
    // The admin's own key has no cap, and moves what it likes.
    let free = guild.transfer("free", "user:1", "user:2", 500).await;
    assert_eq!(free.status, 201);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_key_that_cannot_be_are_refused_by_name() {
    let (house, mut guild) = House::with_guild(0).await;
    let many: serde_json::Map<String, Value> = (0..65)
        .map(|number| (format!("a{number}"), json!(1)))
        .collect();
    for (limits, pointer) in [
        (json!({"transfer_cap": {"coin": -1}}), "/transfer_cap/coin"),
        (json!({"transfer_cap": {"Coin": 1}}), "/transfer_cap"),
        (json!({"transfer_cap": many}), "/transfer_cap"),
        (
            json!({"rate_limit": {"requests": 0, "per_s": 1}}),
            "/rate_limit",
        ),
        (
            json!({"rate_limit": {"requests": 1_000_001, "per_s": 1}}),
            "/rate_limit",
        ),
        (
            json!({"rate_limit": {"requests": 1, "per_s": 86_401}}),
            "/rate_limit",
        ),
        (
            json!({"rate_limit": {"requests": 1, "per_s": 1, "burst": 2}}),
            "/rate_limit",
        ),
    ] {
        let mut body = limits.clone();
        body["scopes"] = json!(["read"]);
        let refused = guild.put("/v1/keys/bot", body).await.json();
        assert_eq!(refused["code"], "malformed", "{limits}");
        let found = refused["pointer"].as_str().unwrap();
        assert!(found.starts_with(pointer), "{limits}: {refused}");
    }
    house.close().await;
}

/// A server whose time for rate limits passes only when it is told.
async fn stopped_clock() -> (House, Guild, impl Fn(u64)) {
    let now = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&now);
    let house = House::set_up(|setup| {
        setup.ticks = Arc::new(move || Duration::from_secs(read.load(Ordering::Relaxed)));
    })
    .await;
    let (house, guild) = house.furnished(2).await;
    (house, guild, move |s| {
        now.fetch_add(s, Ordering::Relaxed);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_waits_and_its_answers_say_how_it_stands() {
    let (house, mut guild, pass) = stopped_clock().await;
    let rate = json!({"requests": 2, "per_s": 60});
    let body = json!({"scopes": ["transfer"], "rate_limit": rate});
    let mut bot = made(&house, &mut guild, "bot", body).await;
    let transfers = format!("{GUILD}/transfers");
    let told = |left: u64, reset: u64| {
        Some((
            "\"key\";q=2;w=60".into(),
            format!("\"key\";r={left};t={reset}"),
        ))
    };

    let paid = bot
        .post(&transfers, "a", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!((paid.status.as_u16(), paid.rate_limit), (201, told(1, 30)));
    // What is refused counts, and says so, too.
    let refused = bot.get(&format!("{GUILD}/audit")).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.rate_limit),
        (403, told(0, 60))
    );
    let limited = bot
        .post(&transfers, "b", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!(
        (limited.status.as_u16(), limited.code()),
        (429, "rate_limited".into())
    );
    assert_eq!(limited.json()["retry"], "same_key");
    assert_eq!(
        (limited.retry_after, limited.rate_limit),
        (Some(30), told(0, 30))
    );
    // Not even a replay is looked up, and nothing of it is kept.
    let replay = bot
        .post(&transfers, "a", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!(replay.status, 429);
    let kept = guild.get(&format!("{GUILD}/outcomes/b")).await;
    assert_eq!(kept.status, 404);

    pass(30);
    let paid = bot
        .post(&transfers, "b", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!((paid.status.as_u16(), paid.replayed), (201, false));
    assert_eq!(bot.get(GUILD).await.unwrap().status, 429);
    // Others are not disturbed, and have no limit to be told of.
    let free = guild.get(GUILD).await;
    assert_eq!((free.status.as_u16(), free.rate_limit), (200, None));

    // Another limit holds at once, and so does none.
    let wider = json!({"rate_limit": {"requests": 3, "per_s": 60}});
    guild.made("/v1/keys/bot", wider).await;
    let asked = bot.get(GUILD).await.unwrap();
    assert_eq!(asked.rate_limit.unwrap().1, "\"key\";r=2;t=20");
    guild
        .made("/v1/keys/bot", json!({"rate_limit": null}))
        .await;
    for _ in 0..9 {
        assert_eq!(bot.get(GUILD).await.unwrap().rate_limit, None);
    }
    house.close().await;
}

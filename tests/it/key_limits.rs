//! Transfer caps and rate limits of API keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, posting};

#[tokio::test(flavor = "multi_thread")]
async fn the_transfer_cap_of_a_key_bounds_every_kind_of_request_exactly() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let config = json!({"asset": "coin", "max_stake": 100});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 500).await;
    let scopes = json!(["transfer", "issue", "call", "admin"]);
    let body = json!({"scopes": scopes, "transfer_cap": {"coin": 20}});
    let mut bot = guild.create_key(&server, "bot", body).await;
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
    let problem = refused.json();
    assert_eq!(
        (&problem["asset"], &problem["cap"], &problem["asked"]),
        (&json!("coin"), &json!(20), &json!(21))
    );
    assert_eq!(problem["retry"], "new_key");
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
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_by_the_cap_is_stored_and_a_new_cap_applies_immediately() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let body = json!({"scopes": ["transfer"], "transfer_cap": {"coin": 20}});
    let mut bot = guild.create_key(&server, "bot", body).await;
    let transfers = format!("{GUILD}/transfers");
    let beyond = posting("user:1", "user:2", 21);
    let refused = bot.post(&transfers, "beyond", &beyond).await.unwrap();
    assert_eq!(refused.code(), "transfer_cap");
    guild
        .put_ok("/v1/keys/bot", json!({"transfer_cap": null}))
        .await;
    let again = bot.post(&transfers, "beyond", &beyond).await.unwrap();
    assert!(again.replayed && again.body == refused.body);
    let freed = bot.post(&transfers, "freed", &beyond).await.unwrap();
    assert_eq!(freed.status, 201);
    // The admin key has no cap.
    let free = guild.transfer("free", "user:1", "user:2", 500).await;
    assert_eq!(free.status, 201);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_limits_of_a_key_are_refused_by_pointer() {
    let (server, mut guild) = TestServer::with_guild(0).await;
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
    server.close().await;
}

/// Starts a server with a clock of its own for rate limits. Returns a function that advances this clock by seconds.
async fn server_with_rate_clock() -> (TestServer, GuildClient, impl Fn(u64)) {
    let now = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&now);
    let server = TestServer::with_setup(|setup| {
        setup.ticks = Arc::new(move || Duration::from_secs(read.load(Ordering::Relaxed)));
    })
    .await;
    let (server, guild) = server.with_members(2).await;
    (server, guild, move |s| {
        now.fetch_add(s, Ordering::Relaxed);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_key_waits_and_sees_its_limit_in_headers() {
    let (server, mut guild, pass) = server_with_rate_clock().await;
    let rate = json!({"requests": 2, "per_s": 60});
    let body = json!({"scopes": ["transfer"], "rate_limit": rate});
    let mut bot = guild.create_key(&server, "bot", body).await;
    let transfers = format!("{GUILD}/transfers");
    let headers = |left: u64, reset: u64| {
        Some((
            "\"key\";q=2;w=60".into(),
            format!("\"key\";r={left};t={reset}"),
        ))
    };

    let paid = bot
        .post(&transfers, "a", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!(
        (paid.status.as_u16(), paid.rate_limit),
        (201, headers(1, 30))
    );
    // Refused requests count and return the headers as well.
    let refused = bot.get(&format!("{GUILD}/audit")).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.rate_limit),
        (403, headers(0, 60))
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
        (Some(30), headers(0, 30))
    );
    // A rate-limited replay is not looked up, and nothing of the request is stored.
    let replay = bot
        .post(&transfers, "a", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!(replay.status, 429);
    let outcome = guild.get(&format!("{GUILD}/outcomes/b")).await;
    assert_eq!(outcome.status, 404);

    pass(30);
    let paid = bot
        .post(&transfers, "b", &posting("user:1", "user:2", 1))
        .await
        .unwrap();
    assert_eq!((paid.status.as_u16(), paid.replayed), (201, false));
    assert_eq!(bot.get(GUILD).await.unwrap().status, 429);
    // Other keys are not affected and have no headers.
    let free = guild.get(GUILD).await;
    assert_eq!((free.status.as_u16(), free.rate_limit), (200, None));

    // A new limit applies immediately, and so does its removal.
    let wider = json!({"rate_limit": {"requests": 3, "per_s": 60}});
    guild.put_ok("/v1/keys/bot", wider).await;
    let read = bot.get(GUILD).await.unwrap();
    assert_eq!(read.rate_limit.unwrap().1, "\"key\";r=2;t=20");
    guild
        .put_ok("/v1/keys/bot", json!({"rate_limit": null}))
        .await;
    for _ in 0..9 {
        assert_eq!(bot.get(GUILD).await.unwrap().rate_limit, None);
    }
    server.close().await;
}

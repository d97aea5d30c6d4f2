//! The life of server seeds: hidden while a game needs them, rotated after their maximum age, and always
//! equal to their commitment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::{Seed, Timestamp};
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer};
use crate::wait::eventually;

/// The maximum age of a server seed in use, in milliseconds: 30 days.
const AGE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Returns the listed server seeds by number.
async fn seeds(guild: &mut GuildClient) -> BTreeMap<u64, Value> {
    let page = guild.get(&format!("{GUILD}/seeds")).await.json();
    let seeds = page["seeds"].as_array().unwrap().iter();
    seeds
        .map(|seed| (seed["number"].as_u64().unwrap(), seed.clone()))
        .collect()
}

/// Returns true if a seed is revealed, and asserts that it matches its commitment.
fn is_public(seed: &Value) -> bool {
    let Some(text) = seed["seed"].as_str() else {
        assert_ne!(seed["status"], "revealed");
        return false;
    };
    assert_eq!(seed["status"], "revealed");
    let revealed = Seed::try_from(text.to_owned()).unwrap();
    assert_eq!(json!(revealed.commitment()), seed["commitment"]);
    true
}

async fn open_coinflip(guild: &mut GuildClient) {
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 10_000).await;
}

/// Flips and returns the origin of its draws.
async fn draws_of_a_flip(guild: &mut GuildClient, key: &str) -> Value {
    let bet = json!({"stake": 5, "side": "heads"});
    let flipped = guild.call("coinflip/flip", key, "user:1", bet).await;
    assert_eq!(flipped.status, 200, "{}", flipped.json());
    flipped.json()["draws"].clone()
}

/// Deals at blackjack until a hand is open, and returns the seed of its draws.
async fn open_hand(guild: &mut GuildClient) -> u64 {
    for number in 0..20 {
        let bet = json!({"stake": 10});
        let key = format!("deal {number}");
        let dealt = guild.call("blackjack/deal", &key, "user:1", bet).await;
        assert_eq!(dealt.status, 200, "{}", dealt.json());
        if dealt.json()["reply"]["outcome"].is_null() {
            return dealt.json()["draws"]["seed"].as_u64().unwrap();
        }
    }
    panic!("twenty naturals in a row");
}

async fn rotate(guild: &mut GuildClient, key: &str) -> Value {
    let rotated = guild.post("seeds/rotate", key, json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.json());
    rotated.json()["active"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_stays_hidden_until_the_hand_dealt_from_it_is_over() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_coinflip(&mut guild).await;
    let config = json!({"asset": "coin"});
    guild
        .install("blackjack", "bundled:blackjack", config)
        .await;
    guild.issue("plugin:blackjack", "coin", 10_000).await;
    let announced = seeds(&mut guild).await;
    assert_eq!(open_hand(&mut guild).await, 1);
    assert_eq!(rotate(&mut guild, "r1").await, 2);
    // The seed that was announced as next is in use now.
    let draws = draws_of_a_flip(&mut guild, "f2").await;
    assert_eq!(draws["seed"], 2);
    assert_eq!(draws["commitment"], announced[&2]["commitment"]);
    assert_eq!(rotate(&mut guild, "r2").await, 3);
    // A start also checks whether seeds can be revealed.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(draws_of_a_flip(&mut guild, "f3").await["seed"], 3);
    let hidden = seeds(&mut guild).await;
    assert_eq!(hidden.len(), 4);
    assert!(!hidden.values().any(is_public), "{hidden:?}");
    for number in [1, 2] {
        let commitment = |of: &BTreeMap<u64, Value>| of[&number]["commitment"].clone();
        assert_eq!(commitment(&hidden), commitment(&announced));
    }
    let stood = guild.call("blackjack/stand", "stand", "user:1", json!({}));
    assert_eq!(stood.await.status, 200);
    assert_eq!(rotate(&mut guild, "r3").await, 4);
    let public = seeds(&mut guild).await;
    for (number, seed) in &public {
        assert_eq!(is_public(seed), *number <= 3, "{seed}");
        if let Some(before) = hidden.get(number) {
            assert_eq!(seed["commitment"], before["commitment"]);
        }
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_in_use_for_thirty_days_is_rotated_and_revealed_automatically() {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let server = TestServer::with_setup(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
    });
    let (server, mut guild) = server.await.with_members(1).await;
    open_coinflip(&mut guild).await;
    let announced = seeds(&mut guild).await;
    assert_eq!(draws_of_a_flip(&mut guild, "before").await["seed"], 1);
    clock.fetch_add(AGE_MS, Ordering::SeqCst);
    // Seeds are checked at a start and then once a minute.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let changed = eventually("the seed is revealed", async || {
        let seeds = seeds(&mut guild).await;
        is_public(&seeds[&1]).then_some(seeds)
    });
    let changed = changed.await;
    assert_eq!(changed[&1]["commitment"], announced[&1]["commitment"]);
    let draws = draws_of_a_flip(&mut guild, "after").await;
    assert_eq!(draws["seed"], 2);
    assert_eq!(draws["commitment"], announced[&2]["commitment"]);
    server.close().await;
}

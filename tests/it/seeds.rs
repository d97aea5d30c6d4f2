//! Server seeds in time: hidden while a game needs them, changed when they are old, and always the ones
//! that were committed to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::{Seed, Timestamp};
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::{GUILD, Guild, House};

/// How old a server seed becomes that was drawn from: 30 days.
const AGE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The server seeds that are known, by number.
async fn seeds(guild: &mut Guild) -> BTreeMap<u64, Value> {
    let page = guild.get(&format!("{GUILD}/seeds")).await.json();
    let seeds = page["seeds"].as_array().unwrap().iter();
    seeds
        .map(|seed| (seed["number"].as_u64().unwrap(), seed.clone()))
        .collect()
}

/// Whether a seed is public. If it is, it is the one that was committed to.
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

async fn open_coinflip(guild: &mut Guild) {
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 10_000).await;
}

/// From where a flip draws.
async fn draws_of_a_flip(guild: &mut Guild, key: &str) -> Value {
    let bet = json!({"stake": 5, "side": "heads"});
    let flipped = guild.call("coinflip/flip", key, "user:1", bet).await;
    assert_eq!(flipped.status, 200, "{}", flipped.json());
    flipped.json()["draws"].clone()
}

/// Deals at blackjack until a hand is open, and says from which seed it has drawn.
async fn open_hand(guild: &mut Guild) -> u64 {
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

async fn rotate(guild: &mut Guild, key: &str) -> Value {
    let rotated = guild.post("seeds/rotate", key, json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.json());
    rotated.json()["active"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_stays_hidden_until_the_hand_that_was_dealt_from_it_is_over() {
    let (house, mut guild) = House::with_guild(1).await;
    open_coinflip(&mut guild).await;
    let config = json!({"asset": "coin"});
    guild
        .install("blackjack", "bundled:blackjack", config)
        .await;
    guild.issue("plugin:blackjack", "coin", 10_000).await;
    let announced = seeds(&mut guild).await;
    assert_eq!(open_hand(&mut guild).await, 1);
    assert_eq!(rotate(&mut guild, "r1").await, 2);
    // What was announced as the next is what is drawn from now.
    let draws = draws_of_a_flip(&mut guild, "f2").await;
    assert_eq!(draws["seed"], 2);
    assert_eq!(draws["commitment"], announced[&2]["commitment"]);
    assert_eq!(rotate(&mut guild, "r2").await, 3);
    // A start looks after the seeds as well.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_was_drawn_from_for_thirty_days_is_changed_and_revealed_by_itself() {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let house = House::set_up(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
    });
    let (house, mut guild) = house.await.furnished(1).await;
    open_coinflip(&mut guild).await;
    let announced = seeds(&mut guild).await;
    assert_eq!(draws_of_a_flip(&mut guild, "before").await["seed"], 1);
    clock.fetch_add(AGE_MS, Ordering::SeqCst);
    // Seeds are looked after at a start, and then once a minute.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    let changed = eventually("the seed is public", async || {
        let seeds = seeds(&mut guild).await;
        is_public(&seeds[&1]).then_some(seeds)
    });
    let changed = changed.await;
    assert_eq!(changed[&1]["commitment"], announced[&1]["commitment"]);
    let draws = draws_of_a_flip(&mut guild, "after").await;
    assert_eq!(draws["seed"], 2);
    assert_eq!(draws["commitment"], announced[&2]["commitment"]);
    house.close().await;
}

//! Bids of the bundled auction: the highest one wins, and all others are released.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::Timestamp;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::bundled::change_hold_as_admin;
use crate::race::{RACERS, race, with_many_members};
use crate::support::{GUILD, GuildClient, TestServer, decline_code};

/// Creates an auction of a sword on a clock that a test moves.
async fn auction() -> (TestServer, GuildClient, Arc<AtomicU64>) {
    let config = json!({"asset": "coin", "increment": 10});
    auction_for(3, config, 50).await
}

/// Creates an auction with this many members, configuration and reserve.
async fn auction_for(
    members: u64,
    config: Value,
    reserve: u64,
) -> (TestServer, GuildClient, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let server = TestServer::with_setup(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
        // These tests settle lots themselves.
        setup.schedules = None;
    });
    let (server, mut guild) = with_many_members(server.await, members).await;
    let sword = json!({"kind": "item", "name": "Sword", "max_supply": 1});
    guild
        .put_ok(&format!("{GUILD}/assets/item:sword"), sword)
        .await;
    guild.issue("user:1", "item:sword", 1).await;
    guild.install("auction", "bundled:auction", config).await;
    let lot = json!({"asset": "item:sword", "amount": 1, "reserve": reserve, "lasts_s": 60});
    let opened = guild.call("auction/open", "open", "user:1", lot).await;
    assert_eq!(opened.status, 200, "{}", opened.json());
    (server, guild, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_releases_all_bids_but_the_highest_and_settles_once() {
    let (server, mut guild, clock) = auction().await;
    let bid = json!({"lot": 1, "amount": 50});
    let first = guild.call("auction/bid", "first", "user:2", bid).await;
    assert_eq!(first.status, 200, "{}", first.json());
    let held = |account: Value| account["balances"]["coin"]["held"].clone();
    let second = format!("{GUILD}/accounts/user:2");
    assert_eq!(held(guild.get(&second).await.json()), 50);
    let higher = json!({"lot": 1, "amount": 60});
    let higher = guild.call("auction/bid", "higher", "user:3", higher).await;
    assert_eq!(higher.status, 200, "{}", higher.json());
    assert_eq!(
        held(guild.get(&second).await.json()),
        0,
        "an outbid member's hold is released"
    );
    let early = guild
        .call("auction/settle", "early", "user:2", json!({"lot": 1}))
        .await;
    assert_eq!(decline_code(&early), "not_over");
    clock.fetch_add(60_000, Ordering::SeqCst);
    let late = guild
        .call(
            "auction/bid",
            "late",
            "user:2",
            json!({"lot": 1, "amount": 500}),
        )
        .await;
    assert_eq!(decline_code(&late), "over");
    let settled = race(&server, "auction/settle", |_| (2, json!({"lot": 1}))).await;
    settled.assert_outcomes(&[("committed", 1), ("already_settled", 999)]);
    assert_eq!(guild.posted("user:3", "item:sword").await, 1);
    assert_eq!(guild.coin_balances(3).await, [1060, 1000, 940]);
    server.close().await;
}

/// Returns all bids in the order of the log, with their amount and whether they were applied.
async fn bids(guild: &mut GuildClient) -> Vec<(u64, bool)> {
    let is_bid = |event: &&Value| {
        let path = event["request"]["path"].as_str();
        path.is_some_and(|path| path.ends_with("/auction/actions/bid"))
    };
    let bid = |event: &Value| {
        let amount = event["request"]["body"]["arguments"]["amount"].as_u64();
        (amount.unwrap(), event["outcome"] == "applied")
    };
    let events = guild.events().await;
    events.iter().filter(is_bid).map(bid).collect()
}

/// A thousand members bid different amounts concurrently. In any order, a bid is applied exactly if it is
/// above all earlier ones; the highest wins the lot and all other bids are released.
#[tokio::test(flavor = "multi_thread")]
async fn the_highest_of_a_thousand_concurrent_bids_wins_and_all_others_are_released() {
    let config = json!({"asset": "coin", "increment": 1});
    let (server, mut guild, clock) = auction_for(RACERS + 1, config, 1).await;
    // 387 and 1,000 have no divisor in common, so each amount from 1 to 1,000 is bid once.
    let amount = |number: u64| number * 387 % RACERS + 1;
    let bid = |number: u64| (number + 2, json!({"lot": 1, "amount": amount(number)}));
    let race_of_bids = race(&server, "auction/bid", bid).await;
    let counted = race_of_bids.winners().len();
    race_of_bids.assert_outcomes(&[("committed", counted), ("bid_too_low", 1_000 - counted)]);
    let bids = bids(&mut guild).await;
    assert_eq!(bids.len(), 1_000, "every bid is in the log");
    let mut highest = 0;
    for (amount, counts) in bids {
        assert_eq!(counts, amount > highest, "{amount} after {highest}");
        highest = highest.max(amount);
    }
    assert_eq!(highest, 1_000);
    clock.fetch_add(60_000, Ordering::SeqCst);
    let settled = guild
        .call("auction/settle", "settle", "user:1", json!({"lot": 1}))
        .await
        .json();
    let winner = (0..RACERS).find(|number| amount(*number) == 1_000).unwrap() + 2;
    assert_eq!(settled["reply"]["winner"], format!("user:{winner}"));
    for member in 2..=RACERS + 1 {
        let path = format!("{GUILD}/accounts/user:{member}");
        let balances = guild.get(&path).await.json()["balances"].clone();
        let (coins, swords) = if member == winner { (0, 1) } else { (1_000, 0) };
        assert_eq!(balances["coin"]["posted"], coins, "{member}");
        assert_eq!(balances["coin"]["available"], coins, "{member}");
        let sword = balances["item:sword"]["posted"].as_i64().unwrap_or(0);
        assert_eq!(sword, swords, "{member}");
    }
    assert_eq!(guild.posted("user:1", "coin").await, 2_000);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bid_released_by_an_admin_can_be_outbid() {
    let (server, mut guild, clock) = auction().await;
    let bid = |amount: u64| json!({"lot": 1, "amount": amount});
    guild.call("auction/bid", "b1", "user:2", bid(50)).await;
    change_hold_as_admin(&mut guild, "user:2", "release", json!({})).await;
    let next = guild.call("auction/bid", "b2", "user:3", bid(60)).await;
    assert_eq!(next.status, 200, "{}", next.json());
    clock.fetch_add(60_000, Ordering::SeqCst);
    let of = json!({"lot": 1});
    let settled = guild.call("auction/settle", "s", "user:1", of).await;
    assert_eq!(settled.json()["reply"]["winner"], "user:3");
    assert_eq!(guild.coin_balances(3).await, [1060, 1000, 940]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_released_by_an_admin_takes_no_bids_and_ends() {
    let (server, mut guild, _clock) = auction().await;
    let bid = |amount: u64| json!({"lot": 1, "amount": amount});
    guild.call("auction/bid", "b1", "user:2", bid(50)).await;
    change_hold_as_admin(&mut guild, "user:1", "release", json!({})).await;
    let next = guild.call("auction/bid", "b2", "user:3", bid(60)).await;
    assert_eq!(decline_code(&next), "lot_gone");
    let of = json!({"lot": 1});
    let settled = guild.call("auction/settle", "s", "user:3", of).await;
    assert_eq!(settled.status, 200, "{}", settled.json());
    assert_eq!(settled.json()["reply"]["winner"], Value::Null);
    let account = guild.get(&format!("{GUILD}/accounts/user:2")).await.json();
    assert_eq!(account["balances"]["coin"]["available"], 1000);
    server.close().await;
}

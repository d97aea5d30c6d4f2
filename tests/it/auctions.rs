//! Auctions are settled by their schedule, whatever the state of either side's accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use bursar_server::bundled;
use bursar_storage::TimeSource;
use bursar_testkit::{Economy, TestCall, posting};
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, decline_code};

const DAY_S: u64 = 86_400;

/// Creates four members with 100 coins each; the first also has ten swords.
fn economy() -> Economy {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == "auction");
    let mut economy = Economy::new("auction");
    for asset in ["coin", "item:sword"] {
        economy.asset(asset);
    }
    for member in 1..=4 {
        economy.member(&format!("user:{member}"), &[("coin", 100)]);
    }
    economy.issue("user:1", "item:sword", 10);
    let config = json!({"asset": "coin", "extension_s": 30});
    economy.install(bundled.expect("it is bundled").bytes, config);
    economy
}

fn open(economy: &mut Economy, lasts_s: u64) -> u64 {
    let lot = json!({"asset": "item:sword", "amount": 1, "reserve": 10, "lasts_s": lasts_s});
    let opened = economy.call("user:1", "auction/open", lot);
    opened.reply()["lot"].as_u64().expect("a number")
}

fn bid(economy: &mut Economy, member: &str, lot: u64, amount: u64) {
    let bid = json!({"lot": lot, "amount": amount});
    economy.call(member, "auction/bid", bid).reply();
}

fn settle(economy: &mut Economy, lot: u64) -> TestCall {
    economy.call("user:4", "auction/settle", json!({ "lot": lot }))
}

/// Returns an account's balance of both assets and asserts that nothing of it is held.
fn unheld_balances(economy: &Economy, account: &str) -> [i64; 2] {
    ["coin", "item:sword"].map(|asset| {
        assert_eq!(economy.held(account, asset), 0, "{account} {asset}");
        economy.balance(account, asset)
    })
}

/// Returns the replies of scheduled runs that concerned lots.
fn lot_replies(runs: &[TestCall]) -> Vec<Value> {
    let replies = runs.iter().map(|run| run.reply().clone());
    let nothing = json!({"settled": [], "waiting": []});
    replies.filter(|reply| *reply != nothing).collect()
}

fn sold_reply(lot: u64, winner: &str, price: u64, to_collect: &[&str]) -> Value {
    json!({"settled": [{"lot": lot, "winner": winner, "price": price, "to_collect": to_collect}],
        "waiting": []})
}

#[test]
fn a_won_auction_is_settled_by_its_schedule_and_not_before() {
    let mut economy = economy();
    let lot = open(&mut economy, 7 * DAY_S);
    bid(&mut economy, "user:2", lot, 50);
    let runs = economy.wait(7 * DAY_S - 1);
    assert!(lot_replies(&runs).is_empty());
    assert!(runs.len() <= 8, "one a day: {}", runs.len());
    let runs = economy.wait(10);
    assert_eq!(lot_replies(&runs), [sold_reply(lot, "user:2", 50, &[])]);
    let [run] = runs.as_slice() else {
        panic!("one was due: {runs:?}");
    };
    assert_eq!(
        run.postings(),
        [
            posting("user:1", "plugin:auction", "item:sword", 1),
            posting("user:2", "plugin:auction", "coin", 50),
            posting("plugin:auction", "user:2", "item:sword", 1),
            posting("plugin:auction", "user:1", "coin", 50),
        ]
    );
    assert_eq!(unheld_balances(&economy, "user:1"), [150, 9]);
    assert_eq!(unheld_balances(&economy, "user:2"), [50, 1]);
    assert_eq!(settle(&mut economy, lot).declined(), "already_settled");
    assert_eq!(settle(&mut economy, lot + 1).declined(), "no_such_lot");
    let state = economy.state("auction");
    assert_eq!(
        state.keys().collect::<Vec<_>>(),
        ["next"],
        "the state is empty"
    );
}

#[test]
fn an_auction_without_bids_returns_the_lot_by_its_schedule() {
    let mut economy = economy();
    let lot = open(&mut economy, 60);
    assert_eq!(economy.held("user:1", "item:sword"), 1);
    let ended = json!({"lot": lot, "winner": null, "price": null, "to_collect": []});
    let runs = economy.wait(70);
    assert_eq!(
        lot_replies(&runs),
        [json!({"settled": [ended], "waiting": []})]
    );
    assert_eq!(unheld_balances(&economy, "user:1"), [100, 10]);
}

#[test]
fn a_late_bid_postpones_the_settlement() {
    let mut economy = economy();
    let lot = open(&mut economy, 60);
    economy.wait(59);
    bid(&mut economy, "user:2", lot, 50);
    assert!(lot_replies(&economy.wait(29)).is_empty());
    bid(&mut economy, "user:3", lot, 51);
    assert!(lot_replies(&economy.wait(29)).is_empty());
    assert_eq!(
        lot_replies(&economy.wait(11)),
        [sold_reply(lot, "user:3", 51, &[])]
    );
}

#[test]
fn ended_lots_are_settled_in_runs_of_a_few() {
    let mut economy = economy();
    for _ in 0..10 {
        let lot = open(&mut economy, 60);
        bid(&mut economy, "user:2", lot, 10);
    }
    let runs = economy.wait(100);
    let settled = lot_replies(&runs);
    let each = settled
        .iter()
        .map(|it| it["settled"].as_array().expect("lots").len());
    assert_eq!(each.collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert_eq!(unheld_balances(&economy, "user:2"), [0, 10]);
}

/// Two lots end at the same time. The first cannot be settled, which must not affect the second.
#[test]
fn a_frozen_winner_delays_only_its_own_lot() {
    let mut economy = economy();
    let [blocked, other] = [60, 60].map(|lasts_s| open(&mut economy, lasts_s));
    bid(&mut economy, "user:2", blocked, 50);
    bid(&mut economy, "user:3", other, 40);
    economy.freeze("user:2", true);
    let runs = economy.wait(70);
    let reply = &lot_replies(&runs)[0];
    assert_eq!(reply["waiting"], json!([blocked]));
    assert_eq!(reply["settled"][0]["lot"], other);
    assert_eq!(unheld_balances(&economy, "user:3"), [60, 1]);
    let expected = format!(
        "lot {blocked} could not be settled 1 times: user:1 or user:2 cannot pay or receive"
    );
    assert!(
        runs.iter().any(|run| run.log() == [expected.clone()]),
        "the log names the lot"
    );
    assert_eq!(settle(&mut economy, blocked).declined(), "cannot_settle");
    let look = economy.call("user:4", "auction/look", json!({"lot": blocked}));
    assert_eq!(look.reply()["tries"], 1);
    // It is settled as soon as that is possible.
    economy.wait(DAY_S);
    economy.freeze("user:2", false);
    assert_eq!(
        lot_replies(&economy.wait(DAY_S)),
        [sold_reply(blocked, "user:2", 50, &[])]
    );
    assert_eq!(unheld_balances(&economy, "user:1"), [190, 8]);
}

#[test]
fn a_lot_that_cannot_be_settled_for_a_week_is_returned_to_both_sides() {
    for frozen in ["user:1", "user:2"] {
        let mut economy = economy();
        let lot = open(&mut economy, 60);
        bid(&mut economy, "user:2", lot, 50);
        economy.freeze(frozen, true);
        let tries = lot_replies(&economy.wait(7 * DAY_S + 50));
        assert!(tries.iter().all(|it| it["waiting"] == json!([lot])));
        assert!((10..25).contains(&tries.len()), "{} tries", tries.len());
        let runs = economy.wait(DAY_S + 20);
        assert_eq!(lot_replies(&runs)[0]["settled"][0]["winner"], Value::Null);
        assert_eq!(unheld_balances(&economy, "user:1"), [100, 10]);
        assert_eq!(unheld_balances(&economy, "user:2"), [100, 0]);
        assert_eq!(economy.state("auction").len(), 1, "the state is empty");
    }
}

/// Otherwise a seller or bidder could cancel an auction by keeping the own account full.
#[test]
fn amounts_above_a_ceiling_are_kept_until_collected() {
    let mut economy = economy();
    let lot = open(&mut economy, 60);
    bid(&mut economy, "user:2", lot, 50);
    economy.ceiling("user:1", "coin", Some(100));
    let runs = economy.wait(70);
    assert_eq!(
        lot_replies(&runs),
        [sold_reply(lot, "user:2", 50, &["user:1"])]
    );
    assert_eq!(unheld_balances(&economy, "user:2"), [50, 1]);
    assert_eq!(economy.balance("plugin:auction", "coin"), 50);
    let full = economy.call("user:1", "auction/collect", json!({}));
    assert!(full.rejected().contains("`user:1`"), "{}", full.rejected());
    let nothing = economy.call("user:2", "auction/collect", json!({}));
    assert_eq!(nothing.declined(), "nothing_to_collect");
    economy.ceiling("user:1", "coin", None);
    let collected = economy.call("user:1", "auction/collect", json!({}));
    let expected = json!({"asset": "coin", "amount": 50, "more": false});
    assert_eq!(collected.reply(), &expected);
    assert_eq!(unheld_balances(&economy, "user:1"), [150, 9]);
    assert_eq!(economy.balance("plugin:auction", "coin"), 0);
}

/// Starts a server on a clock that a test moves, with a lot of a minute for which user:2 has bid 50.
async fn server_with_won_lot() -> (TestServer, GuildClient, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let server = TestServer::with_setup(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
        setup.schedules = Some(Duration::from_millis(10));
    });
    let (server, mut guild) = server.await.with_members(2).await;
    let sword = json!({"kind": "item", "name": "Sword", "max_supply": 1});
    guild
        .put_ok(&format!("{GUILD}/assets/item:sword"), sword)
        .await;
    guild.issue("user:1", "item:sword", 1).await;
    let config = json!({"asset": "coin"});
    guild.install("auction", "bundled:auction", config).await;
    let lot = json!({"asset": "item:sword", "amount": 1, "reserve": 10, "lasts_s": 60});
    let opened = guild.call("auction/open", "open", "user:1", lot).await;
    assert_eq!(opened.status, 200, "{}", opened.json());
    let bid = json!({"lot": 1, "amount": 50});
    let bid = guild.call("auction/bid", "bid", "user:2", bid).await;
    assert_eq!(bid.status, 200, "{}", bid.json());
    (server, guild, clock)
}

/// Returns a member's balances once nothing of them is held, and advances the clock meanwhile.
async fn wait_for_unheld_balances(
    guild: &mut GuildClient,
    clock: &AtomicU64,
    account: &str,
) -> [i64; 2] {
    for _ in 0..1_000 {
        let found = guild
            .get(&format!("{GUILD}/accounts/{account}"))
            .await
            .json();
        let of = |asset: &str, what: &str| found["balances"][asset][what].as_i64().unwrap_or(0);
        if of("coin", "held") == 0 && of("item:sword", "held") == 0 {
            return ["coin", "item:sword"].map(|asset| of(asset, "posted"));
        }
        clock.fetch_add(1_000, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{account} still has holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_that_ends_while_no_server_runs_is_settled_at_the_next_start() {
    let (server, _, clock) = server_with_won_lot().await;
    let twenty_days_pass = || {
        clock.fetch_add(20 * DAY_S * 1000, Ordering::SeqCst);
    };
    let server = server.restart_after(twenty_days_pass).await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(
        wait_for_unheld_balances(&mut guild, &clock, "user:2").await,
        [950, 1]
    );
    assert_eq!(
        wait_for_unheld_balances(&mut guild, &clock, "user:1").await,
        [1_050, 0]
    );
    let by_hand = guild
        .call("auction/settle", "s", "user:1", json!({"lot": 1}))
        .await;
    assert_eq!(decline_code(&by_hand), "already_settled");
    server.close().await;
}

/// Nothing settles the lot for longer than anything can be held, so both sides get their own back.
#[tokio::test(flavor = "multi_thread")]
async fn an_auction_of_a_disabled_plugin_releases_everything_in_the_end() {
    let (server, mut guild, clock) = server_with_won_lot().await;
    let path = format!("{GUILD}/plugins/auction");
    guild.put_ok(&path, json!({"enabled": false})).await;
    // An account with holds cannot be closed.
    let closed = guild
        .put(
            &format!("{GUILD}/accounts/user:1"),
            json!({"status": "closed"}),
        )
        .await;
    assert!(closed.status.is_client_error(), "{}", closed.json());
    clock.fetch_add(70 * DAY_S * 1000, Ordering::SeqCst);
    assert_eq!(
        wait_for_unheld_balances(&mut guild, &clock, "user:2").await,
        [1_000, 0]
    );
    assert_eq!(
        wait_for_unheld_balances(&mut guild, &clock, "user:1").await,
        [1_000, 1]
    );
    guild.put_ok(&path, json!({"enabled": true})).await;
    for number in 0..1_000 {
        let key = format!("look {number}");
        let look = guild
            .call("auction/look", &key, "user:2", json!({"lot": 1}))
            .await;
        if decline_code(&look) == "already_settled" {
            server.close().await;
            return;
        }
        clock.fetch_add(1_000, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the lot still exists");
}

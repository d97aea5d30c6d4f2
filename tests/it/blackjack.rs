//! The bundled blackjack: a game of several calls whose money is always held or settled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::Timestamp;
use bursar_server::client::Response;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, decline_code};
use crate::wait::eventually;

const BANK: &str = "plugin:blackjack";

/// The time that a game stays open, in milliseconds.
const GAME_MS: u64 = 3_600_000;

async fn open_table(guild: &mut GuildClient, bank: u64) {
    let config = json!({"asset": "coin", "stakes": {"max": 500}});
    guild
        .install("blackjack", "bundled:blackjack", config)
        .await;
    guild.issue(BANK, "coin", bank).await;
}

/// Starts a table on a clock that a test moves.
async fn table_with_clock(bank: u64) -> (TestServer, GuildClient, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let server = TestServer::with_setup(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
    });
    let (server, mut guild) = server.await.with_members(1).await;
    open_table(&mut guild, bank).await;
    (server, guild, clock)
}

async fn act(guild: &mut GuildClient, action: &str, key: &str) -> Response {
    let action = format!("blackjack/{action}");
    guild.call(&action, key, "user:1", json!({})).await
}

async fn deal(guild: &mut GuildClient, key: &str, stake: u64) -> Response {
    let bet = json!({ "stake": stake });
    guild.call("blackjack/deal", key, "user:1", bet).await
}

/// Returns the reply of a committed call.
fn reply(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.json());
    response.json()["reply"].clone()
}

/// Deals with a stake of 10 until a game is open. Winnings of a natural are paid back, so that both balances
/// are as before.
async fn open_game(guild: &mut GuildClient, key: &str) -> Value {
    for number in 0..20 {
        let dealt = reply(&deal(guild, &format!("{key} {number}"), 10).await);
        if dealt["outcome"].is_null() {
            return dealt;
        }
        let won = dealt["paid"].as_u64().unwrap() - 10;
        if won > 0 {
            let back = format!("{key} back {number}");
            assert_eq!(guild.transfer(&back, "user:1", BANK, won).await.status, 201);
        }
    }
    panic!("twenty naturals in a row");
}

/// Returns the posted and held coins of an account.
async fn coins(guild: &mut GuildClient, account: &str) -> (i64, i64) {
    let account = guild
        .get(&format!("{GUILD}/accounts/{account}"))
        .await
        .json();
    let coin = &account["balances"]["coin"];
    let read = |name: &str| coin[name].as_i64().unwrap_or(0);
    (read("posted"), read("held"))
}

/// Waits until the holds of both sides have expired.
async fn wait_until_nothing_is_held(guild: &mut GuildClient) {
    let ended = eventually("the holds of a game end", async || {
        let member = coins(guild, "user:1").await;
        let bank = coins(guild, BANK).await;
        (member.1 == 0 && bank.1 == 0).then_some(())
    });
    ended.await;
}

/// Counts the points of cards, independently of the plugin's code.
fn points(cards: &Value) -> u64 {
    let cards = cards.as_array().unwrap().iter();
    let cards: Vec<&str> = cards.map(|card| card.as_str().unwrap()).collect();
    let hard: u64 = cards
        .iter()
        .map(|card| match *card {
            "A" => 1,
            "T" | "J" | "Q" | "K" => 10,
            number => number.parse().unwrap(),
        })
        .sum();
    let has_ace = cards.contains(&"A");
    if has_ace && hard <= 11 {
        hard + 10
    } else {
        hard
    }
}

/// Returns the outcome of a round and its payout for each 2 first staked, computed from the cards.
fn by_the_cards(round: &Value, doubled: bool) -> (&'static str, u64) {
    let [player, dealer] = ["player", "dealer"].map(|side| points(&round[side]));
    let natural = |side: &str, points| points == 21 && round[side].as_array().unwrap().len() == 2;
    let naturals = (natural("player", player), natural("dealer", dealer));
    let times = if doubled { 2 } else { 1 };
    match naturals {
        (true, false) => ("natural", 5),
        (true, true) => ("push", 2),
        (false, false) if player > 21 => ("lost", 0),
        (false, false) if dealer > 21 || player > dealer => ("won", 4 * times),
        (false, false) if player == dealer => ("push", 2 * times),
        (false, _) => ("lost", 0),
    }
}

/// Asserts that the dealer draws up to 17, stands on 17, and draws only if the player can still win.
fn check_dealer(round: &Value) {
    let drawn = round["dealer"].as_array().unwrap();
    let natural = round["player"].as_array().unwrap().len() == 2 && points(&round["player"]) == 21;
    if points(&round["player"]) > 21 {
        assert_eq!(drawn.len(), 1, "{round}");
    } else if natural {
        let may_be_one = points(&json!(drawn[..1])) >= 10;
        assert_eq!(drawn.len(), if may_be_one { 2 } else { 1 }, "{round}");
    } else {
        let before = json!(drawn[..drawn.len() - 1]);
        assert!(
            points(&before) < 17 && points(&round["dealer"]) >= 17,
            "{round}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_occurs_and_pays_by_its_cards() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 10_000).await;
    let mut seen = BTreeSet::new();
    let mut member = 1000_i64;
    // There are four outcomes, and three with a doubled stake. The rarest, a doubled push, occurs more than
    // once in two hundred rounds; this many rounds miss it once in a million runs.
    for round in 0..3_000 {
        let mut action = "deal".to_owned();
        let mut calls = 0;
        let mut doubled = false;
        let ended = loop {
            let key = format!("{round} {calls}");
            let response = match action.as_str() {
                "deal" => deal(&mut guild, &key, 5).await,
                other => act(&mut guild, other, &key).await,
            };
            let reply = reply(&response);
            calls += 1;
            if reply["next"].is_null() {
                break reply;
            }
            assert_eq!(
                (&reply["outcome"], &reply["paid"]),
                (&Value::Null, &json!(0))
            );
            assert_eq!(reply["dealer"].as_array().unwrap().len(), 1);
            action = reply["next"]["action"].as_str().unwrap().to_owned();
            doubled = action == "double";
        };
        let (outcome, pays) = by_the_cards(&ended, doubled);
        check_dealer(&ended);
        assert_eq!(ended["outcome"], outcome, "{ended}");
        // A natural pays seven and a half for five, rounded down to seven.
        let pays = pays * 5 / 2;
        assert_eq!(ended["paid"], pays, "{ended}");
        assert_eq!(ended["staked"], if doubled { 10 } else { 5 });
        member += i64::try_from(pays).unwrap() - ended["staked"].as_i64().unwrap();
        assert_eq!(coins(&mut guild, "user:1").await, (member, 0), "{ended}");
        assert_eq!(coins(&mut guild, BANK).await, (11_000 - member, 0));
        seen.insert((outcome, doubled));
        if seen.len() == 7 {
            break;
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_game_is_lost_and_releases_the_banks_share() {
    let (server, mut guild, clock) = table_with_clock(100).await;
    let open = open_game(&mut guild, "a").await;
    assert_eq!(coins(&mut guild, "user:1").await, (1000, 10));
    assert_eq!(coins(&mut guild, BANK).await, (100, 10));
    clock.fetch_add(GAME_MS - 1, Ordering::SeqCst);
    assert_eq!(reply(&act(&mut guild, "look", "in time").await), open);
    clock.fetch_add(1, Ordering::SeqCst);
    for action in ["look", "hit", "stand", "double"] {
        let late = act(&mut guild, action, &format!("late {action}")).await;
        assert_eq!(decline_code(&late), "no_game");
    }
    wait_until_nothing_is_held(&mut guild).await;
    assert_eq!(coins(&mut guild, "user:1").await, (990, 0));
    assert_eq!(coins(&mut guild, BANK).await, (110, 0));
    open_game(&mut guild, "another").await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_cannot_pay_a_natural_deals_no_cards() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 14).await;
    for number in 0..5 {
        let refused = deal(&mut guild, &format!("poor {number}"), 10).await;
        assert_eq!(decline_code(&refused), "bank_too_small");
    }
    assert_eq!(coins(&mut guild, "user:1").await, (1000, 0));
    guild.issue(BANK, "coin", 1).await;
    let dealt = deal(&mut guild, "covered", 10).await;
    assert_eq!(dealt.status, 200, "{}", dealt.json());
    assert_eq!(
        dealt.json()["draws"]["nonce"],
        1,
        "no nonce was used before"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_win_is_paid_although_the_bank_was_emptied_during_the_game() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 15).await;
    guild
        .put_ok(&format!("{GUILD}/accounts/guild:vault"), json!({}))
        .await;
    // A player who always stands wins more than a third of all rounds: sixty rounds without a win occur once
    // in ten billion runs.
    for round in 0..60 {
        open_game(&mut guild, &format!("deal {round}")).await;
        let emptied = guild
            .transfer(&format!("empty {round}"), BANK, "guild:vault", 5)
            .await;
        assert_eq!(emptied.status, 201, "{}", emptied.json());
        let more = guild
            .transfer(&format!("more {round}"), BANK, "guild:vault", 1)
            .await;
        assert_eq!(
            more.code(),
            "insufficient_funds",
            "the bank's share is held"
        );
        let before = coins(&mut guild, "user:1").await.0;
        let ended = reply(&act(&mut guild, "stand", &format!("stand {round}")).await);
        if ended["outcome"] == "won" {
            assert_eq!(coins(&mut guild, "user:1").await, (before + 10, 0));
            assert_eq!(coins(&mut guild, BANK).await, (0, 0));
            server.close().await;
            return;
        }
        // The bank's winnings are removed, so that it starts each round with fifteen.
        let has = coins(&mut guild, BANK).await.0.unsigned_abs();
        let from = "guild:vault";
        let to = BANK;
        let (from, to, amount) = if has > 15 {
            (to, from, has - 15)
        } else {
            (from, to, 15 - has)
        };
        if amount > 0 {
            guild
                .transfer(&format!("fill {round}"), from, to, amount)
                .await;
        }
    }
    panic!("sixty rounds without a win");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_that_is_not_covered_leaves_the_game_unchanged() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 19).await;
    let open = open_game(&mut guild, "a").await;
    // The game holds 10 of the bank's 19 coins; a double needs 10 more.
    let refused = act(&mut guild, "double", "bank").await;
    assert_eq!(decline_code(&refused), "bank_too_small");
    assert_eq!(reply(&act(&mut guild, "look", "after bank").await), open);
    guild.issue(BANK, "coin", 1).await;
    guild.transfer("poor", "user:1", BANK, 981).await;
    let refused = act(&mut guild, "double", "member").await;
    assert_eq!(refused.code(), "insufficient_funds");
    assert_eq!(reply(&act(&mut guild, "look", "after member").await), open);
    guild.transfer("rich", BANK, "user:1", 981).await;
    let limit = json!({"caller": "user:1", "arguments": {}, "spend_limit": {"coin": 9}});
    let path = "plugins/blackjack/actions/double";
    let refused = guild.post(path, "limit", limit).await;
    assert_eq!(decline_code(&refused), "over_limit");
    let limit = json!({"caller": "user:1", "arguments": {}, "spend_limit": {"coin": 10}});
    let doubled = reply(&guild.post(path, "at the limit", limit).await);
    assert_eq!(doubled["player"].as_array().unwrap().len(), 3);
    assert_eq!(doubled["staked"], 20);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stake_is_doubled_on_the_first_two_cards_only() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 10_000).await;
    // A third card ends fewer than half of all games: forty in a row end once in a million million runs.
    for round in 0..40 {
        open_game(&mut guild, &format!("deal {round}")).await;
        let hit = reply(&act(&mut guild, "hit", &format!("hit {round}")).await);
        if hit["outcome"].is_null() {
            let late = act(&mut guild, "double", "late").await;
            assert_eq!(decline_code(&late), "too_late_to_double");
            assert_eq!(reply(&act(&mut guild, "look", "look").await), hit);
            server.close().await;
            return;
        }
    }
    panic!("forty games that ended with the third card");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_one_game_however_often_it_deals() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    open_table(&mut guild, 10_000).await;
    let ask = |number| {
        let body = json!({"caller": "user:1", "arguments": {"stake": 10}});
        (
            "plugins/blackjack/actions/deal".to_owned(),
            format!("deal {number}"),
            body,
        )
    };
    let responses = server.post_concurrently((0..32).map(ask).collect()).await;
    let open = responses
        .iter()
        .filter(|response| response.status == 200 && response.json()["reply"]["outcome"].is_null());
    assert_eq!(open.count(), 1);
    let again = deal(&mut guild, "again", 10).await;
    assert_eq!(decline_code(&again), "game_open");
    assert_eq!(coins(&mut guild, "user:1").await.1, 10);
    assert_eq!(coins(&mut guild, BANK).await.1, 10);
    // Another member's game is separate.
    let other = guild
        .call("blackjack/stand", "other", "user:2", json!({}))
        .await;
    assert_eq!(decline_code(&other), "no_game");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_drawn_for_a_stake_that_is_not_allowed_or_not_covered() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 10_000).await;
    let bet = |limit: Value| json!({"caller": "user:1", "arguments": {"stake": 10}, "spend_limit": limit});
    let path = "plugins/blackjack/actions/deal";
    for (key, limit) in [("a", json!({})), ("b", json!({"coin": 9}))] {
        let refused = guild.post(path, key, bet(limit)).await;
        assert_eq!(decline_code(&refused), "over_limit");
    }
    let over = deal(&mut guild, "over", 501).await;
    assert_eq!(decline_code(&over), "stake_too_large");
    guild.transfer("poor", "user:1", BANK, 990).await;
    let poor = deal(&mut guild, "too poor", 11).await;
    assert_eq!(poor.code(), "insufficient_funds");
    // A win of 10 and the 5 more of a natural must fit below the ceiling together with the 10 coins that
    // remain.
    let account = format!("{GUILD}/accounts/user:1");
    guild
        .put_ok(&account, json!({"ceiling": {"coin": 24}}))
        .await;
    let full = deal(&mut guild, "full", 10).await;
    assert_eq!(decline_code(&full), "no_room");
    guild
        .put_ok(&account, json!({"ceiling": {"coin": 25}}))
        .await;
    let dealt = guild.post(path, "first", bet(json!({"coin": 10}))).await;
    assert_eq!(dealt.status, 200, "{}", dealt.json());
    assert_eq!(dealt.json()["draws"]["nonce"], 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_drawn_if_the_state_quota_has_no_room_for_the_game() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 10_000).await;
    let path = format!("{GUILD}/plugins/blackjack");
    guild
        .put_ok(&path, json!({"grants": {"state_bytes": 100}}))
        .await;
    for number in 0..5 {
        let full = deal(&mut guild, &format!("full {number}"), 10).await;
        assert_eq!(full.code(), "state_quota");
    }
    let plugin = guild.get(&path).await.json();
    assert_eq!(
        (&plugin["broken_draws"], &plugin["enabled"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(coins(&mut guild, "user:1").await, (1000, 0));
    guild.put_ok(&path, json!({"grants": "requested"})).await;
    let dealt = deal(&mut guild, "room", 10).await;
    assert_eq!(dealt.status, 200, "{}", dealt.json());
    assert_eq!(
        dealt.json()["draws"]["nonce"],
        1,
        "no nonce was used before"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_of_an_uninstalled_plugin_ends_by_the_rule_of_its_holds() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 100).await;
    open_game(&mut guild, "a").await;
    let path = format!("{GUILD}/plugins/blackjack");
    let removed = guild.client.send("DELETE", &path, None, "".into()).await;
    assert_eq!(removed.unwrap().status, 200);
    wait_until_nothing_is_held(&mut guild).await;
    assert_eq!(coins(&mut guild, "user:1").await, (990, 0));
    assert_eq!(coins(&mut guild, BANK).await, (110, 0));
    guild
        .install("blackjack", "bundled:blackjack", json!({"asset": "coin"}))
        .await;
    let gone = act(&mut guild, "stand", "gone").await;
    assert_eq!(decline_code(&gone), "no_game");
    open_game(&mut guild, "another").await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_whose_hold_was_released_by_an_admin_is_over() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 100).await;
    for (number, account) in ["user:1", BANK].into_iter().enumerate() {
        open_game(&mut guild, &format!("game {number}")).await;
        let listed = guild
            .get(&format!("{GUILD}/holds?account={account}"))
            .await
            .json();
        let of_account = |hold: &&Value| hold["from"] == account;
        let hold = listed["holds"].as_array().unwrap().iter().find(of_account);
        let id = hold.expect("its hold")["id"].as_str().unwrap().to_owned();
        let released = guild
            .post(&format!("holds/{id}/release"), &id, json!({}))
            .await;
        assert_eq!(released.status, 200, "{}", released.json());
        let over = act(&mut guild, "stand", &format!("over {number}")).await;
        assert_eq!(decline_code(&over), "no_game");
    }
    open_game(&mut guild, "another").await;
    assert_eq!(coins(&mut guild, "user:1").await, (1000, 10));
    assert_eq!(
        coins(&mut guild, BANK).await,
        (100, 10),
        "no earlier hold remains"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_continues_in_the_asset_it_began_with() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 100).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.put_ok(&format!("{GUILD}/assets/gem"), gem).await;
    open_game(&mut guild, "a").await;
    let path = format!("{GUILD}/plugins/blackjack");
    guild
        .put_ok(&path, json!({"config": {"asset": "gem"}}))
        .await;
    let ended = reply(&act(&mut guild, "stand", "stand").await);
    let paid = ended["paid"].as_i64().unwrap();
    assert_eq!(coins(&mut guild, "user:1").await, (990 + paid, 0));
    let refused = deal(&mut guild, "gems", 10).await;
    assert_eq!(
        decline_code(&refused),
        "bank_too_small",
        "the bank has no gems"
    );
    server.close().await;
}

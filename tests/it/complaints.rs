//! Mistakes that users of other ledgers and bots have complained about. The comment of each test is the
//! complaint. Further tests stand with their subject:
//!
//! * two captures of one hold: `holds.rs`; two refunds of one payment: `reversals.rs`
//! * a page token that loses its filters, or shifts while new transfers arrive: `statement.rs`
//! * a key twice in one batch: `batches.rs`; an exploit from one economy to another: `economies.rs`
//! * more sold than in stock, a double click, a limit per member: `shop.rs`
//! * a change feed that skips events while no client listens: `events.rs`
//! * money lost with a killed process: `crash.rs`; "database is locked" while another program reads the file:
//!   `a_lock_that_another_tool_holds_for_a_moment_is_waited_for` in storage

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, posting};

async fn place_hold(guild: &mut GuildClient, key: &str, amount: u64) -> String {
    let body = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": amount, "expires_in_s": 60,
    });
    let placed = guild.post("holds", key, body).await;
    assert_eq!(placed.status, 201, "{}", placed.json());
    placed.json()["id"].as_str().unwrap().to_owned()
}

async fn update_account(guild: &mut GuildClient, member: u64, change: Value) {
    guild
        .put_ok(&format!("{GUILD}/accounts/user:{member}"), change)
        .await;
}

/// Two concurrent commands both see the same balance and both spend it.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_of_one_user_cannot_spend_the_same_coins() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let ask = |number: u64| {
        let to = format!("user:{}", 2 + number % 2);
        let body = posting("user:1", &to, 600);
        ("transfers".to_owned(), format!("command {number}"), body)
    };
    let responses = server.post_concurrently((0..24).map(ask).collect()).await;
    let done = responses
        .iter()
        .filter(|response| response.status == 201)
        .count();
    assert_eq!(done, 1);
    assert_eq!(guild.posted("user:1", "coin").await, 400);
    server.close().await;
}

/// A bet is refunded or lost because the balance changed during the game.
#[tokio::test(flavor = "multi_thread")]
async fn a_bet_stays_held_during_the_game() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let bet = place_hold(&mut guild, "bet", 500).await;
    // Meanwhile the player spends all that is available.
    assert_eq!(
        guild
            .transfer("spend", "user:1", "user:3", 500)
            .await
            .status,
        201
    );
    assert_eq!(
        guild.transfer("over", "user:1", "user:3", 1).await.status,
        422
    );
    let lost = guild
        .post(&format!("holds/{bet}/capture"), "lost", json!({}))
        .await;
    assert_eq!(lost.status, 201, "the stake is still available");
    assert_eq!(guild.coin_balances(3).await, [0, 1500, 1500]);
    server.close().await;
}

/// Holds are not counted when the balance is checked.
#[tokio::test(flavor = "multi_thread")]
async fn several_holds_cannot_reserve_more_than_the_balance() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    place_hold(&mut guild, "a", 700).await;
    let body = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 301, "expires_in_s": 60,
    });
    let refused = guild.post("holds", "b", body).await;
    assert_eq!(
        (refused.code(), &refused.json()["available"]),
        ("insufficient_funds".into(), &json!(300))
    );
    server.close().await;
}

/// A rejected hold is committed later after all.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_hold_cannot_be_applied_later() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let body = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5000, "expires_in_s": 60,
    });
    let refused = guild.post("holds", "k", body.clone()).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.json().get("id").is_none(),
        "a rejected hold has no id"
    );
    guild.issue("user:1", "coin", 9000).await;
    let again = guild.post("holds", "k", body).await;
    assert!(again.replayed && again.body == refused.body);
    assert_eq!(
        guild.get(&format!("{GUILD}/holds")).await.json()["holds"],
        json!([])
    );
    server.close().await;
}

/// More is captured of a hold than was held.
#[tokio::test(flavor = "multi_thread")]
async fn captures_of_a_hold_cannot_exceed_its_amount() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = place_hold(&mut guild, "bet", 100).await;
    let ask = |number: u64| {
        let path = format!("holds/{hold}/capture");
        (path, format!("part {number}"), json!({"amount": 30}))
    };
    let responses = server.post_concurrently((0..16).map(ask).collect()).await;
    let done = responses
        .iter()
        .filter(|response| response.status == 201)
        .count();
    assert_eq!(done, 3, "the fourth would be above the held amount");
    assert_eq!(guild.coin_balances(2).await, [910, 1090]);
    server.close().await;
}

/// A retry pays twice, or its response cannot be distinguished from the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_pays_once_and_is_marked_as_replayed() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let first = guild.transfer("pay", "user:1", "user:2", 10).await;
    let retry = guild.transfer("pay", "user:1", "user:2", 10).await;
    assert_eq!((first.status, first.replayed), (retry.status, false));
    assert!(retry.replayed);
    assert_eq!(first.body, retry.body);
    assert_eq!(guild.coin_balances(2).await, [990, 1010]);
    server.close().await;
}

/// Another amount under the same key gets the response of the first request.
#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_a_used_key_is_refused() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.transfer("pay", "user:1", "user:2", 10).await;
    let other = guild.transfer("pay", "user:1", "user:2", 100).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (422, "idempotency_key_reused".into())
    );
    assert_eq!(other.json()["field"], "/postings");
    assert_eq!(guild.coin_balances(2).await, [990, 1010]);
    server.close().await;
}

/// A retried rejection succeeds later, when the user has given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_retry_of_a_rejected_payment_stays_rejected() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let refused = guild.transfer("pay", "user:1", "user:2", 2000).await;
    assert_eq!(refused.code(), "insufficient_funds");
    guild.issue("user:1", "coin", 5000).await;
    let late = guild.transfer("pay", "user:1", "user:2", 2000).await;
    assert!(late.replayed && late.body == refused.body);
    assert_eq!(guild.posted("user:2", "coin").await, 1000);
    server.close().await;
}

/// There is no floor, credit limit or ceiling for a single account.
#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_set_for_a_single_account() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    update_account(&mut guild, 1, json!({"credit_limit": {"coin": 250}})).await;
    update_account(&mut guild, 3, json!({"ceiling": {"coin": 1100}})).await;
    for (key, from, to, amount, status) in [
        ("within", "user:1", "user:2", 1250, 201),
        ("beyond", "user:1", "user:2", 1, 422),
        ("others have none", "user:2", "user:1", 2251, 422),
        ("room", "user:2", "user:3", 100, 201),
        ("full", "user:2", "user:3", 1, 422),
    ] {
        let response = guild.transfer(key, from, to, amount).await;
        assert_eq!(response.status, status, "{key}: {}", response.json());
    }
    assert_eq!(guild.coin_balances(3).await, [-250, 2150, 1100]);
    server.close().await;
}

/// A member with credit transfers a unique item that another member owns.
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_item_cannot_be_duplicated_by_credit() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let crown = json!({"kind": "item", "name": "Crown", "max_supply": 1});
    guild
        .put_ok(&format!("{GUILD}/assets/item:crown"), crown)
        .await;
    guild.issue("user:2", "item:crown", 1).await;
    update_account(&mut guild, 1, json!({"credit_limit": {"coin": 5}})).await;
    let path = format!("{GUILD}/accounts/user:1");
    let item = json!({"credit_limit": {"item:crown": 5}});
    let refused = guild.put(&path, item).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "credit_on_item".into())
    );
    let unknown = guild.put(&path, json!({"ceiling": {"gem": 5}})).await;
    assert_eq!(unknown.code(), "asset_not_found");
    let mut body = posting("user:1", "user:3", 1);
    body["postings"][0]["asset"] = json!("item:crown");
    let refused = guild.post("transfers", "double", body).await;
    assert_eq!(refused.code(), "insufficient_funds");
    assert_eq!(
        guild
            .transfer("credit", "user:1", "user:3", 1005)
            .await
            .status,
        201
    );
    let account = guild.get(&path).await.json();
    assert_eq!(account["credit_limit"], json!({"coin": 5}));
    assert_eq!(account["balances"]["coin"]["posted"], -5);
    server.close().await;
}

/// A ceiling meant for money rejects items.
#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_of_one_asset_does_not_apply_to_another() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let arrow = json!({"kind": "item", "name": "Arrow"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:arrow"), arrow)
        .await;
    update_account(&mut guild, 1, json!({"ceiling": {"coin": 1000}})).await;
    guild.issue("user:1", "item:arrow", 64).await;
    let body = json!({"account": "user:1", "asset": "coin", "amount": 1});
    assert_eq!(
        guild.post("issue", "full", body).await.code(),
        "ceiling_exceeded"
    );
    server.close().await;
}

/// An unknown account is skipped while the other side of the payment is applied.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_to_an_unknown_account_moves_nothing() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let body = json!({"postings": [
        {"from": "user:1", "to": "user:2", "asset": "coin", "amount": 10},
        {"from": "user:1", "to": "user:404", "asset": "coin", "amount": 10},
    ]});
    let refused = guild.post("transfers", "k", body).await;
    assert_eq!(
        (refused.code(), &refused.json()["account"]),
        ("account_not_found".into(), &json!("user:404"))
    );
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

/// A negative or zero amount pays the sender.
#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_not_positive_whole_numbers_are_refused() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    for amount in [
        json!(-5),
        json!(0),
        json!(0.5),
        json!("5"),
        json!(9_007_199_254_740_992_u64),
    ] {
        let body = json!({"postings": [
            {"from": "user:1", "to": "user:2", "asset": "coin", "amount": amount},
        ]});
        let refused = guild.post("transfers", "k", body).await;
        assert_eq!(refused.status, 400, "{amount}");
        assert_eq!(refused.json()["pointer"], "/postings/0/amount");
    }
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

/// Movements cannot be traced: the log is missing or must be switched on first.
#[tokio::test(flavor = "multi_thread")]
async fn every_movement_is_in_the_statement() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut body = posting("user:1", "user:2", 50);
    body["memo"] = json!("for the boat");
    guild.post("transfers", "boat", body).await;
    let path = format!("{GUILD}/accounts/user:1/statement?limit=1");
    let statement = guild.get(&path).await.json();
    let line = &statement["entries"][0];
    for (member, value) in [
        ("change", json!(-50)),
        ("balance", json!(950)),
        ("counterparty", json!("user:2")),
        ("memo", json!("for the boat")),
        ("actor", json!("admin")),
        ("idempotency_key", json!("boat")),
    ] {
        assert_eq!(line[member], value, "{member}");
    }
    server.close().await;
}

/// A change of settings deletes all balances.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_keeps_balances() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    update_account(
        &mut guild,
        1,
        json!({"metadata": {"name": "Ada"}, "ceiling": {"coin": 5000}}),
    )
    .await;
    for path in ["", "/accounts/user:1", "/assets/coin"] {
        guild.put_ok(&format!("{GUILD}{path}"), json!({})).await;
    }
    let coin = json!({"kind": "item"});
    let refused = guild.put(&format!("{GUILD}/assets/coin"), coin).await;
    assert_eq!(refused.code(), "asset_fixed");
    let account = guild.get(&format!("{GUILD}/accounts/user:1")).await.json();
    assert_eq!(account["balances"]["coin"]["posted"], 1000);
    assert_eq!(account["metadata"]["name"], "Ada");
    assert_eq!(account["ceiling"]["coin"], 5000);
    server.close().await;
}

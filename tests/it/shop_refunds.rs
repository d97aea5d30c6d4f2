//! Refunds of the bundled shop: possible for a time, once, and at the price paid.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::race::race;
use crate::shop::{buy, open_shop, potion, refund, shop_with_clock};
use crate::support::{GUILD, TestServer, decline_code};

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_refunded_once_for_exactly_the_price_paid() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let refunds = json!({"refund_within_s": 3600});
    open_shop(&mut guild, potion(&refunds), 10).await;
    let two = json!({"item": "item:potion", "quantity": 2});
    let bought = guild.call("shop/buy", "two", "user:1", two).await.json();
    assert_eq!(bought["reply"]["purchase"], 1);
    // Neither the current price nor the current refund period matters.
    let dearer = json!({"config": {"items": [potion(&json!({"price": {"coin": 80}}))]}});
    guild.put_ok(&format!("{GUILD}/plugins/shop"), dearer).await;
    let other = refund(&mut guild, "other member", "user:2", 1).await;
    assert_eq!(decline_code(&other), "not_refundable");
    let refunded = refund(&mut guild, "k", "user:1", 1).await;
    assert_eq!(refunded.status, 200, "{}", refunded.json());
    assert_eq!(
        refunded.json()["reply"],
        json!({"item": "item:potion", "quantity": 2, "paid": {"coin": 100}})
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    assert_eq!(guild.posted("user:1", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 10);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 0);
    let again = refund(&mut guild, "k", "user:1", 1).await;
    assert!(again.replayed && again.body == refunded.body);
    let twice = refund(&mut guild, "twice", "user:1", 1).await;
    assert_eq!(decline_code(&twice), "not_refundable");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_refunds_of_one_purchase_pay_once() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"refund_within_s": 3600})), 10).await;
    for key in ["a", "b"] {
        assert_eq!(buy(&mut guild, key, "user:1").await.status, 200);
    }
    let refunds = race(&server, "shop/refund", |_| (1, json!({"purchase": 2}))).await;
    refunds.assert_outcomes(&[("committed", 1), ("not_refundable", 999)]);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_possible_for_its_time_only_and_frees_the_limit() {
    let offer = potion(&json!({"refund_within_s": 60, "per_member_limit": 2}));
    let (server, mut guild, clock) = shop_with_clock(offer, 10).await;
    for key in ["a", "b"] {
        assert_eq!(buy(&mut guild, key, "user:1").await.status, 200);
    }
    let over = buy(&mut guild, "over", "user:1").await;
    assert_eq!(decline_code(&over), "limit_reached");
    clock.fetch_add(59_999, Ordering::SeqCst);
    assert_eq!(refund(&mut guild, "r1", "user:1", 1).await.status, 200);
    clock.fetch_add(1, Ordering::SeqCst);
    let late = refund(&mut guild, "r2", "user:1", 2).await;
    assert_eq!(decline_code(&late), "not_refundable");
    let bought = buy(&mut guild, "c", "user:1").await.json();
    assert_eq!(
        bought["reply"]["purchase"], 3,
        "no purchase number is reused"
    );
    let over = buy(&mut guild, "over again", "user:1").await;
    assert_eq!(decline_code(&over), "limit_reached");
    assert_eq!(guild.posted("user:1", "item:potion").await, 2);
    server.close().await;
}

/// A purchase made while no limit was configured is not counted, so its refund does not reduce the count.
/// Otherwise such a member could buy more than the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_an_uncounted_purchase_does_not_free_the_limit() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"refund_within_s": 3600})), 10).await;
    assert_eq!(buy(&mut guild, "free", "user:1").await.status, 200);
    let limited = potion(&json!({"refund_within_s": 3600, "per_member_limit": 3}));
    let config = json!({"config": {"items": [limited]}});
    guild.put_ok(&format!("{GUILD}/plugins/shop"), config).await;
    for key in ["a", "b", "c"] {
        assert_eq!(buy(&mut guild, key, "user:1").await.status, 200);
    }
    assert_eq!(refund(&mut guild, "r1", "user:1", 1).await.status, 200);
    let fourth = buy(&mut guild, "d", "user:1").await;
    assert_eq!(decline_code(&fourth), "limit_reached");
    // A refund of a counted purchase frees one.
    assert_eq!(refund(&mut guild, "r2", "user:1", 2).await.status, 200);
    assert_eq!(buy(&mut guild, "e", "user:1").await.status, 200);
    let over = buy(&mut guild, "f", "user:1").await;
    assert_eq!(decline_code(&over), "limit_reached");
    assert_eq!(guild.posted("user:1", "item:potion").await, 3);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_does_not_end_the_cooldown() {
    let offer = potion(&json!({"refund_within_s": 3600, "cooldown_s": 60}));
    let (server, mut guild, clock) = shop_with_clock(offer, 10).await;
    assert_eq!(buy(&mut guild, "a", "user:1").await.status, 200);
    assert_eq!(refund(&mut guild, "r", "user:1", 1).await.status, 200);
    clock.fetch_add(59_999, Ordering::SeqCst);
    let early = buy(&mut guild, "b", "user:1").await;
    assert_eq!(decline_code(&early), "cooling_down");
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(buy(&mut guild, "c", "user:1").await.status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_needs_the_item_of_the_member_and_money_in_the_till() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    open_shop(&mut guild, potion(&json!({"refund_within_s": 3600})), 10).await;
    assert_eq!(buy(&mut guild, "a", "user:1").await.status, 200);
    let give = |from: &str, to: &str| {
        let posting = json!({"from": from, "to": to, "asset": "item:potion", "amount": 1});
        json!({ "postings": [posting] })
    };
    let gift = guild
        .post("transfers", "gift", give("user:1", "user:2"))
        .await;
    assert_eq!(gift.status, 201);
    let gone = refund(&mut guild, "gone", "user:1", 1).await;
    assert_eq!(decline_code(&gone), "item_gone");
    guild
        .post("transfers", "back", give("user:2", "user:1"))
        .await;
    let emptied = guild
        .transfer("empty", "plugin:shop:till", "user:2", 1)
        .await;
    assert_eq!(emptied.status, 201);
    let poor = refund(&mut guild, "poor", "user:1", 1).await;
    assert_eq!(decline_code(&poor), "till_too_small");
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    guild
        .transfer("fill", "user:2", "plugin:shop:till", 1)
        .await;
    assert_eq!(refund(&mut guild, "paid", "user:1", 1).await.status, 200);
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_without_a_refund_period_is_not_refunded() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let bought = buy(&mut guild, "a", "user:1").await.json();
    assert!(bought["reply"].get("purchase").is_none());
    let config = json!({"config": {"items": [potion(&json!({"refund_within_s": 3600}))]}});
    guild.put_ok(&format!("{GUILD}/plugins/shop"), config).await;
    let never = refund(&mut guild, "never", "user:1", 1).await;
    assert_eq!(decline_code(&never), "not_refundable");
    server.close().await;
}

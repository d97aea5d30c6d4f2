//! Purchases in the bundled shop, alone and concurrently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use bursar_server::client::Response;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::race::{race, with_many_members};
use crate::support::{GUILD, GuildClient, TestServer, decline_code};

const BUY: &str = "plugins/shop/actions/buy";

/// Installs a shop that sells potions, with this stock.
pub(crate) async fn open_shop(guild: &mut GuildClient, offer: Value, stock: u64) {
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    guild
        .install("shop", "bundled:shop", json!({"items": [offer]}))
        .await;
    guild.issue("plugin:shop", "item:potion", stock).await;
}

pub(crate) fn potion(more: &Value) -> Value {
    let mut offer = json!({"item": "item:potion", "price": {"coin": 50}});
    offer
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    offer
}

pub(crate) async fn buy(guild: &mut GuildClient, key: &str, member: &str) -> Response {
    guild
        .call("shop/buy", key, member, json!({"item": "item:potion"}))
        .await
}

pub(crate) async fn refund(
    guild: &mut GuildClient,
    key: &str,
    member: &str,
    number: u64,
) -> Response {
    let arguments = json!({ "purchase": number });
    guild.call("shop/refund", key, member, arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_moves_money_and_item_in_one_transfer() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let arguments = json!({"item": "item:potion", "quantity": 3});
    let bought = guild.call("shop/buy", "k", "user:1", arguments).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let body = bought.json();
    assert_eq!(body["outcome"], "committed");
    assert_eq!(body["reply"]["paid"], json!({"coin": 150}));
    assert_eq!(body["transfer"]["postings"].as_array().unwrap().len(), 2);
    assert_eq!(
        body["transfer"]["balances"]["user:1"],
        json!({"coin": 850, "item:potion": 3})
    );
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 150);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 7);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_in_several_currencies_is_paid_completely_or_not_at_all() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.put_ok(&format!("{GUILD}/assets/gem"), gem).await;
    let offer = json!({"price": {"coin": 50, "gem": 2}, "refund_within_s": 3600});
    open_shop(&mut guild, potion(&offer), 10).await;
    guild.issue("user:1", "gem", 5).await;
    let three = json!({"item": "item:potion", "quantity": 3});
    let poor = guild
        .call("shop/buy", "poor", "user:1", three.clone())
        .await;
    assert_eq!(poor.code(), "insufficient_funds");
    let body = poor.json();
    assert_eq!(
        [&body["asset"], &body["available"], &body["required"]],
        [&json!("gem"), &json!(5), &json!(6)]
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    guild.issue("user:1", "gem", 1).await;
    let bought = guild.call("shop/buy", "rich", "user:1", three).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let body = bought.json();
    assert_eq!(body["reply"]["paid"], json!({"coin": 150, "gem": 6}));
    assert_eq!(
        body["transfer"]["balances"]["user:1"],
        json!({"coin": 850, "gem": 0, "item:potion": 3})
    );
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 150);
    assert_eq!(guild.posted("plugin:shop:till", "gem").await, 6);
    assert_eq!(refund(&mut guild, "back", "user:1", 1).await.status, 200);
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    assert_eq!(guild.posted("user:1", "gem").await, 6);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_buys_once() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let body = json!({"caller": "user:1", "arguments": {"item": "item:potion"}});
    let click = (BUY.to_owned(), "click".to_owned(), body);
    let responses = server.post_concurrently(vec![click; 16]).await;
    assert!(
        responses
            .iter()
            .all(|response| response.body == responses[0].body)
    );
    assert_eq!(
        responses
            .iter()
            .filter(|response| !response.replayed)
            .count(),
        1
    );
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_purchases_cannot_exceed_the_stock() {
    const MEMBERS: u64 = 100;
    let (server, mut guild) = with_many_members(TestServer::new().await, MEMBERS).await;
    open_shop(&mut guild, potion(&json!({})), 5).await;
    let clicks = race(&server, "shop/buy", |number| a_click(number % MEMBERS + 1)).await;
    clicks.assert_outcomes(&[("committed", 5), ("out_of_stock", 995)]);
    for member in 1..=MEMBERS {
        let winners = clicks.winners().into_iter();
        let own = winners.filter(|(number, _)| number % MEMBERS + 1 == member);
        let bought = i64::try_from(own.count()).unwrap();
        let member = format!("user:{member}");
        assert_eq!(guild.posted(&member, "item:potion").await, bought);
        assert_eq!(guild.posted(&member, "coin").await, 1_000 - 50 * bought);
    }
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 250);
    server.close().await;
}

/// Returns a member's purchase of a potion, as a racer.
fn a_click(member: u64) -> (u64, Value) {
    (member, json!({"item": "item:potion"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_per_member_holds_for_a_thousand_concurrent_purchases() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"per_member_limit": 3})), 100).await;
    let clicks = race(&server, "shop/buy", |_| a_click(1)).await;
    clicks.assert_outcomes(&[("committed", 3), ("limit_reached", 997)]);
    assert_eq!(guild.posted("user:1", "item:potion").await, 3);
    assert_eq!(guild.posted("user:1", "coin").await, 850);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 97);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 150);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_holds_for_a_thousand_concurrent_purchases() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"cooldown_s": 3600})), 100).await;
    let clicks = race(&server, "shop/buy", |_| a_click(1)).await;
    clicks.assert_outcomes(&[("committed", 1), ("cooling_down", 999)]);
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 50);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_ends_when_its_time_has_passed() {
    let now = Arc::new(AtomicU64::new(1_700_000_000_000));
    let clock = {
        let now = Arc::clone(&now);
        TimeSource::even(move || Timestamp(now.load(Ordering::SeqCst)))
    };
    let (server, mut guild) = TestServer::with_setup(|setup| setup.clock = clock)
        .await
        .with_members(1)
        .await;
    open_shop(&mut guild, potion(&json!({"cooldown_s": 60})), 100).await;
    assert_eq!(buy(&mut guild, "a", "user:1").await.status, 200);
    now.fetch_add(59_999, Ordering::SeqCst);
    assert_eq!(
        decline_code(&buy(&mut guild, "b", "user:1").await),
        "cooling_down"
    );
    now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(buy(&mut guild, "c", "user:1").await.status, 200);
    // The rejection stays stored: its key has one response for ever.
    assert_eq!(
        decline_code(&buy(&mut guild, "b", "user:1").await),
        "cooling_down"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_is_not_covered_names_the_missing_amount() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"price": {"coin": 1001}})), 1).await;
    let refused = buy(&mut guild, "k", "user:1").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "insufficient_funds".into())
    );
    let body = refused.json();
    assert_eq!(
        (&body["account"], &body["available"]),
        (&json!("user:1"), &json!(1000))
    );
    assert_eq!(body["required"], 1001);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_rose_above_the_spend_limit_is_not_charged() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let ask = |limit: Value| {
        json!({
            "caller": "user:1", "arguments": {"item": "item:potion"}, "spend_limit": limit,
        })
    };
    let at_the_limit = guild.post(BUY, "a", ask(json!({"coin": 50}))).await;
    assert_eq!(at_the_limit.status, 200);
    guild
        .put_ok(
            &format!("{GUILD}/plugins/shop"),
            json!({"config": {"items": [{"item": "item:potion", "price": {"coin": 51}}]}}),
        )
        .await;
    for (key, limit) in [("b", json!({"coin": 50})), ("c", json!({}))] {
        assert_eq!(
            decline_code(&guild.post(BUY, key, ask(limit)).await),
            "over_limit"
        );
    }
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_do_not_match_the_manifest_are_named_by_a_pointer() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let wrong = [
        (
            json!({"item": "item:potion", "quantity": 0}),
            "/arguments/quantity",
        ),
        (
            json!({"item": "item:potion", "quantity": 1001}),
            "/arguments/quantity",
        ),
        (json!({"item": "Potion"}), "/arguments/item"),
        (json!({}), "/arguments"),
    ];
    for (arguments, pointer) in wrong {
        let refused = guild
            .call("shop/buy", "k", "user:1", arguments.clone())
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
        assert_eq!(refused.json()["pointer"], pointer, "{arguments}");
    }
    let config = json!({"config": {"items": [{"item": "item:potion", "price": {}}]}});
    let refused = guild.put(&format!("{GUILD}/plugins/shop"), config).await;
    assert_eq!(refused.code(), "configuration_refused");
    let finding = &refused.json()["findings"][0];
    assert_eq!(finding["pointer"], "/items/0/price");
    // None of these requests used the key.
    assert_eq!(buy(&mut guild, "k", "user:1").await.status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_shop_sells_nothing_and_still_replays_its_answers() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let first = buy(&mut guild, "a", "user:1").await;
    guild
        .put_ok(&format!("{GUILD}/plugins/shop"), json!({"enabled": false}))
        .await;
    let refused = buy(&mut guild, "b", "user:1").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "plugin_disabled".into())
    );
    let again = buy(&mut guild, "a", "user:1").await;
    assert!(again.replayed && again.body == first.body);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_describes_the_commands_a_bot_needs() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let listed = guild.get(&format!("{GUILD}/plugins")).await.json();
    let manifest = &listed["plugins"][0]["manifest"];
    assert_eq!(
        (&manifest["id"], &manifest["actions"][0]["name"]),
        (&json!("shop"), &json!("buy"))
    );
    assert_eq!(
        manifest["actions"][0]["arguments"]["properties"]["quantity"]["maximum"],
        1000
    );
    let component = listed["plugins"][0]["component"]
        .as_str()
        .unwrap()
        .to_owned();
    let known = guild.get("/v1/components").await.json();
    assert_eq!(known["components"][0]["component"], component.as_str());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_sells_to_members_with_the_required_role_and_item() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    for item in ["item:key", "item:chest"] {
        let created = json!({"kind": "item", "name": "Thing"});
        guild
            .put_ok(&format!("{GUILD}/assets/{item}"), created)
            .await;
    }
    let terms = json!({"role": "vip", "item": "item:key"});
    let config = json!({"items": [{"item": "item:chest", "price": {"coin": 5}, "terms": terms}]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:chest", 3).await;
    let buy = |roles: Value| json!({"caller": "user:1", "arguments": {"item": "item:chest"}, "roles": roles});
    let path = "plugins/shop/actions/buy";
    let without_role = guild.post(path, "a", buy(json!([]))).await;
    assert_eq!(decline_code(&without_role), "role_required");
    let without_key = guild.post(path, "b", buy(json!(["vip"]))).await;
    assert_eq!(decline_code(&without_key), "item_required");
    guild.issue("user:1", "item:key", 1).await;
    let bought = guild.post(path, "c", buy(json!(["guest", "vip"]))).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    for (roles, pointer) in [
        (json!([""]), "/roles/0"),
        (json!(["x".repeat(65)]), "/roles/0"),
        (json!(vec!["r"; 65]), "/roles"),
    ] {
        let refused = guild.post(path, "d", buy(roles)).await;
        assert_eq!(
            (refused.code(), refused.json()["pointer"].clone()),
            ("malformed".into(), json!(pointer))
        );
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_begins_and_ends_at_its_exact_millisecond() {
    let from_ms = 20_001 * DAY_MS;
    let until_ms = 20_002 * DAY_MS;
    let terms = json!({"from_ms": from_ms, "until_ms": until_ms});
    let (server, mut guild, clock) = shop_with_clock(potion(&json!({ "terms": terms })), 10).await;
    for (at, code) in [
        (from_ms - 1, "not_yet_for_sale"),
        (from_ms, ""),
        (until_ms - 1, ""),
        (until_ms, "sale_over"),
    ] {
        clock.store(at, Ordering::SeqCst);
        let response = buy(&mut guild, &format!("at {at}"), "user:1").await;
        assert_eq!(decline_code(&response), code, "{at}");
    }
    assert_eq!(guild.posted("user:1", "item:potion").await, 2);
    server.close().await;
}

/// Starts a server with a shop, on a clock that a test moves.
pub(crate) async fn shop_with_clock(
    offer: Value,
    stock: u64,
) -> (TestServer, GuildClient, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(20_000 * DAY_MS + DAY_MS / 2));
    let hands = Arc::clone(&clock);
    let server = TestServer::with_setup(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
        setup.schedules = Some(Duration::from_millis(10));
    });
    let (server, mut guild) = server.await.with_members(2).await;
    open_shop(&mut guild, offer, stock).await;
    (server, guild, clock)
}

pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

//! The bundled shop: real purchases of a real component, alone and in a crowd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use bursar_server::client::Response;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::race::{crowded, race};
use crate::support::{GUILD, Guild, House, decline_code};

const BUY: &str = "plugins/shop/actions/buy";

/// A shop that sells potions, with some in stock.
async fn open_shop(guild: &mut Guild, offer: Value, stock: u64) {
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    guild
        .install("shop", "bundled:shop", json!({"items": [offer]}))
        .await;
    guild.issue("plugin:shop", "item:potion", stock).await;
}

fn potion(more: &Value) -> Value {
    let mut offer = json!({"item": "item:potion", "price": {"coin": 50}});
    offer
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    offer
}

async fn buy(guild: &mut Guild, key: &str, member: &str) -> Response {
    guild
        .call("shop/buy", key, member, json!({"item": "item:potion"}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_moves_money_and_item_in_one_transfer() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let asked = json!({"item": "item:potion", "quantity": 3});
    let bought = guild.call("shop/buy", "k", "user:1", asked).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_in_several_currencies_is_paid_in_all_of_them_or_not_at_all() {
    let (house, mut guild) = House::with_guild(1).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.made(&format!("{GUILD}/assets/gem"), gem).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_buys_once() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let body = json!({"caller": "user:1", "arguments": {"item": "item:potion"}});
    let click = (BUY.to_owned(), "click".to_owned(), body);
    let answers = house.at_once(vec![click; 16]).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clicks_cannot_buy_more_than_the_stock() {
    const MEMBERS: u64 = 100;
    let (house, mut guild) = crowded(House::new().await, MEMBERS).await;
    open_shop(&mut guild, potion(&json!({})), 5).await;
    let clicks = race(&house, "shop/buy", |number| a_click(number % MEMBERS + 1)).await;
    clicks.ended(&[("committed", 5), ("out_of_stock", 995)]);
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
    house.close().await;
}

/// A member's click on a potion.
fn a_click(member: u64) -> (u64, Value) {
    (member, json!({"item": "item:potion"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_per_member_holds_against_a_thousand_clicks() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"per_member_limit": 3})), 100).await;
    let clicks = race(&house, "shop/buy", |_| a_click(1)).await;
    clicks.ended(&[("committed", 3), ("limit_reached", 997)]);
    assert_eq!(guild.posted("user:1", "item:potion").await, 3);
    assert_eq!(guild.posted("user:1", "coin").await, 850);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 97);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 150);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_holds_against_a_thousand_clicks() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"cooldown_s": 3600})), 100).await;
    let clicks = race(&house, "shop/buy", |_| a_click(1)).await;
    clicks.ended(&[("committed", 1), ("cooling_down", 999)]);
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 50);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_ends_when_its_time_has_passed() {
    let now = Arc::new(AtomicU64::new(1_700_000_000_000));
    let clock = {
        let now = Arc::clone(&now);
        TimeSource::even(move || Timestamp(now.load(Ordering::SeqCst)))
    };
    let (house, mut guild) = House::set_up(|setup| setup.clock = clock)
        .await
        .furnished(1)
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
    // The refusal stays what it was: its key has one answer for ever.
    assert_eq!(
        decline_code(&buy(&mut guild, "b", "user:1").await),
        "cooling_down"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_cannot_pay_is_told_what_is_missing() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_rose_after_the_click_is_not_charged() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let ask = |limit: Value| {
        json!({
            "caller": "user:1", "arguments": {"item": "item:potion"}, "spend_limit": limit,
        })
    };
    let at_the_limit = guild.post(BUY, "a", ask(json!({"coin": 50}))).await;
    assert_eq!(at_the_limit.status, 200);
    guild
        .made(
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_manifest_is_named_by_a_pointer() {
    let (house, mut guild) = House::with_guild(1).await;
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
    // None of it used the key up.
    assert_eq!(buy(&mut guild, "k", "user:1").await.status, 200);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_switched_off_sells_nothing_and_keeps_its_answers() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let first = buy(&mut guild, "a", "user:1").await;
    guild
        .made(&format!("{GUILD}/plugins/shop"), json!({"enabled": false}))
        .await;
    let refused = buy(&mut guild, "b", "user:1").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "plugin_disabled".into())
    );
    let again = buy(&mut guild, "a", "user:1").await;
    assert!(again.replayed && again.body == first.body);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_finds_in_the_manifest_what_it_needs_for_its_commands() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_sells_to_those_with_the_role_and_the_item() {
    let (house, mut guild) = House::with_guild(1).await;
    for item in ["item:key", "item:chest"] {
        let made = json!({"kind": "item", "name": "Thing"});
        guild.made(&format!("{GUILD}/assets/{item}"), made).await;
    }
    let terms = json!({"role": "vip", "item": "item:key"});
    let config = json!({"items": [{"item": "item:chest", "price": {"coin": 5}, "terms": terms}]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:chest", 3).await;
    let buy = |roles: Value| json!({"caller": "user:1", "arguments": {"item": "item:chest"}, "roles": roles});
    let path = "plugins/shop/actions/buy";
    let nobody = guild.post(path, "a", buy(json!([]))).await;
    assert_eq!(decline_code(&nobody), "role_required");
    let keyless = guild.post(path, "b", buy(json!(["vip"]))).await;
    assert_eq!(decline_code(&keyless), "item_required");
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
    house.close().await;
}

async fn refund(guild: &mut Guild, key: &str, member: &str, number: u64) -> Response {
    let asked = json!({ "purchase": number });
    guild.call("shop/refund", key, member, asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_begins_and_ends_on_its_millisecond() {
    let (from_ms, until_ms) = (20_001 * DAY_MS, 20_002 * DAY_MS);
    let terms = json!({"from_ms": from_ms, "until_ms": until_ms});
    let (house, mut guild, clock) = shop_with_clock(potion(&json!({ "terms": terms })), 10).await;
    for (at, code) in [
        (from_ms - 1, "not_yet_for_sale"),
        (from_ms, ""),
        (until_ms - 1, ""),
        (until_ms, "sale_over"),
    ] {
        clock.store(at, Ordering::SeqCst);
        let answer = buy(&mut guild, &format!("at {at}"), "user:1").await;
        assert_eq!(decline_code(&answer), code, "{at}");
    }
    assert_eq!(guild.posted("user:1", "item:potion").await, 2);
    house.close().await;
}

/// A shop on a clock that stands still until somebody moves it.
async fn shop_with_clock(offer: Value, stock: u64) -> (House, Guild, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(20_000 * DAY_MS + DAY_MS / 2));
    let hands = Arc::clone(&clock);
    let house = House::set_up(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
        setup.schedules = Some(Duration::from_millis(10));
    });
    let (house, mut guild) = house.await.furnished(2).await;
    open_shop(&mut guild, offer, stock).await;
    (house, guild, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_given_back_for_exactly_what_was_paid_and_once() {
    let (house, mut guild) = House::with_guild(2).await;
    let refunds = json!({"refund_within_s": 3600});
    open_shop(&mut guild, potion(&refunds), 10).await;
    let two = json!({"item": "item:potion", "quantity": 2});
    let bought = guild.call("shop/buy", "two", "user:1", two).await.json();
    assert_eq!(bought["reply"]["purchase"], 1);
    // What it costs by now does not matter, nor what is promised to others.
    let dearer = json!({"config": {"items": [potion(&json!({"price": {"coin": 80}}))]}});
    guild.made(&format!("{GUILD}/plugins/shop"), dearer).await;
    let stranger = refund(&mut guild, "stranger", "user:2", 1).await;
    assert_eq!(decline_code(&stranger), "not_refundable");
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_refunds_of_one_purchase_pay_once() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"refund_within_s": 3600})), 10).await;
    for key in ["a", "b"] {
        assert_eq!(buy(&mut guild, key, "user:1").await.status, 200);
    }
    let refunds = race(&house, "shop/refund", |_| (1, json!({"purchase": 2}))).await;
    refunds.ended(&[("committed", 1), ("not_refundable", 999)]);
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    assert_eq!(guild.posted("user:1", "item:potion").await, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_ends_with_its_time_and_gives_the_limit_back() {
    let offer = potion(&json!({"refund_within_s": 60, "per_member_limit": 2}));
    let (house, mut guild, clock) = shop_with_clock(offer, 10).await;
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
    assert_eq!(bought["reply"]["purchase"], 3, "no number comes twice");
    let over = buy(&mut guild, "over again", "user:1").await;
    assert_eq!(decline_code(&over), "limit_reached");
    assert_eq!(guild.posted("user:1", "item:potion").await, 2);
    house.close().await;
}

/// What was bought while nothing was counted is not in the count, so nothing comes off it: else a member
/// who has such a purchase would buy more than the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_what_was_never_counted_makes_no_room_below_the_limit() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"refund_within_s": 3600})), 10).await;
    assert_eq!(buy(&mut guild, "free", "user:1").await.status, 200);
    let limited = potion(&json!({"refund_within_s": 3600, "per_member_limit": 3}));
    let config = json!({"config": {"items": [limited]}});
    guild.made(&format!("{GUILD}/plugins/shop"), config).await;
    for key in ["a", "b", "c"] {
        assert_eq!(buy(&mut guild, key, "user:1").await.status, 200);
    }
    assert_eq!(refund(&mut guild, "r1", "user:1", 1).await.status, 200);
    let fourth = buy(&mut guild, "d", "user:1").await;
    assert_eq!(decline_code(&fourth), "limit_reached");
    // One that was counted makes room for one.
    assert_eq!(refund(&mut guild, "r2", "user:1", 2).await.status, 200);
    assert_eq!(buy(&mut guild, "e", "user:1").await.status, 200);
    let over = buy(&mut guild, "f", "user:1").await;
    assert_eq!(decline_code(&over), "limit_reached");
    assert_eq!(guild.posted("user:1", "item:potion").await, 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_everything_back_waits_for_the_cooldown_still() {
    let offer = potion(&json!({"refund_within_s": 3600, "cooldown_s": 60}));
    let (house, mut guild, clock) = shop_with_clock(offer, 10).await;
    assert_eq!(buy(&mut guild, "a", "user:1").await.status, 200);
    assert_eq!(refund(&mut guild, "r", "user:1", 1).await.status, 200);
    clock.fetch_add(59_999, Ordering::SeqCst);
    let early = buy(&mut guild, "b", "user:1").await;
    assert_eq!(decline_code(&early), "cooling_down");
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(buy(&mut guild, "c", "user:1").await.status, 200);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_takes_the_item_from_the_member_and_the_money_from_the_till() {
    let (house, mut guild) = House::with_guild(2).await;
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
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_without_a_promise_is_not_given_back() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({})), 10).await;
    let bought = buy(&mut guild, "a", "user:1").await.json();
    assert!(bought["reply"].get("purchase").is_none());
    let config = json!({"config": {"items": [potion(&json!({"refund_within_s": 3600}))]}});
    guild.made(&format!("{GUILD}/plugins/shop"), config).await;
    let never = refund(&mut guild, "never", "user:1", 1).await;
    assert_eq!(decline_code(&never), "not_refundable");
    house.close().await;
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

async fn next_restock(guild: &mut Guild) -> u64 {
    let plugin = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    plugin["schedules"]["restock"]["next_due"].as_u64().unwrap()
}

/// Lets the clock reach a time, and waits until what was due by then has had its run.
async fn restocked(guild: &mut Guild, clock: &AtomicU64, at: u64) -> [i64; 2] {
    clock.store(at, Ordering::SeqCst);
    let restocked = eventually("shelves are filled up", async || {
        (next_restock(guild).await > at).then_some(())
    });
    restocked.await;
    let shelf = guild.posted("plugin:shop", "item:potion").await;
    let store = guild.posted("plugin:shop:storeroom", "item:potion").await;
    [shelf, store]
}

#[tokio::test(flavor = "multi_thread")]
async fn shelves_are_filled_up_from_the_storeroom_when_it_is_due() {
    let (house, mut guild, clock) =
        shop_with_clock(potion(&json!({"restock": {"to": 5}})), 2).await;
    guild.issue("plugin:shop:storeroom", "item:potion", 7).await;
    let due = next_restock(&mut guild).await;
    assert_eq!(due, 20_001 * DAY_MS, "at midnight");
    assert_eq!(restocked(&mut guild, &clock, due).await, [5, 4]);
    // A full shelf stays as it is, and the run counts.
    assert_eq!(restocked(&mut guild, &clock, due + DAY_MS).await, [5, 4]);
    let all = json!({"item": "item:potion", "quantity": 5});
    let bought = guild.call("shop/buy", "all", "user:1", all).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    // What was missed is left out, and what is there is not enough.
    let late = due + 9 * DAY_MS;
    assert_eq!(
        restocked(&mut guild, &clock, late + DAY_MS / 2).await,
        [0, 4]
    );
    assert_eq!(next_restock(&mut guild).await, late + DAY_MS);
    assert_eq!(restocked(&mut guild, &clock, late + DAY_MS).await, [4, 0]);
    assert_eq!(
        restock_runs(&mut guild).await,
        ["applied", "declined", "applied"]
    );
    house.close().await;
}

/// How many restocks are on record, and how they ended.
async fn restock_runs(guild: &mut Guild) -> Vec<String> {
    let page = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let events = page["events"].as_array().unwrap().iter();
    let runs = events.filter(|event| event["request"]["method"] == "SCHEDULE");
    runs.map(|run| run["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_items_are_filled_up_in_one_run_and_no_more_are_taken() {
    let (house, mut guild, clock) = shop_with_clock(potion(&json!({})), 1).await;
    let offer = |number| json!({"item": format!("item:{number}"), "price": {"coin": 1}, "restock": {"to": 3}});
    for number in 1..=17 {
        let (item, made) = (
            format!("item:{number}"),
            json!({"kind": "item", "name": "It"}),
        );
        guild.made(&format!("{GUILD}/assets/{item}"), made).await;
        guild.issue("plugin:shop:storeroom", &item, 3).await;
    }
    let path = format!("{GUILD}/plugins/shop");
    let sold = |count| json!({"config": {"items": (1..=count).map(offer).collect::<Vec<_>>()}});
    let refused = guild.put(&path, sold(17)).await;
    assert_eq!(refused.code(), "configuration_refused");
    let pointer = &refused.json()["findings"][0]["pointer"];
    assert_eq!(pointer, "/items/16/restock");
    guild.made(&path, sold(16)).await;
    let due = next_restock(&mut guild).await;
    restocked(&mut guild, &clock, due).await;
    for (number, stocked) in [(1, 3), (16, 3), (17, 0)] {
        let item = format!("item:{number}");
        assert_eq!(guild.posted("plugin:shop", &item).await, stocked, "{item}");
    }
    assert_eq!(restock_runs(&mut guild).await, ["applied"]);
    house.close().await;
}

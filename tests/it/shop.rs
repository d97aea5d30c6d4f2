//! The bundled shop: real purchases of a real component, alone and in a crowd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::Timestamp;
use serde_json::{Value, json};

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

async fn buy(guild: &mut Guild, key: &str, member: &str) -> bursar_server::client::Response {
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
async fn a_crowd_cannot_buy_more_than_the_stock() {
    let (house, mut guild) = House::with_guild(24).await;
    open_shop(&mut guild, potion(&json!({})), 5).await;
    let ask = |member: u64| {
        let body =
            json!({"caller": format!("user:{member}"), "arguments": {"item": "item:potion"}});
        (BUY.to_owned(), format!("k{member}"), body)
    };
    let answers = house.at_once((1..=24).map(ask).collect()).await;
    let sold = answers.iter().filter(|answer| answer.status == 200).count();
    let too_late = answers
        .iter()
        .filter(|answer| decline_code(answer) == "out_of_stock")
        .count();
    assert_eq!((sold, too_late), (5, 19));
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 250);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_per_member_holds_against_many_clicks() {
    let (house, mut guild) = House::with_guild(1).await;
    open_shop(&mut guild, potion(&json!({"per_member_limit": 3})), 100).await;
    let ask = |number: u64| {
        let body = json!({"caller": "user:1", "arguments": {"item": "item:potion"}});
        (BUY.to_owned(), format!("k{number}"), body)
    };
    let answers = house.at_once((0..12).map(ask).collect()).await;
    let bought = answers.iter().filter(|answer| answer.status == 200).count();
    let over = answers
        .iter()
        .filter(|answer| decline_code(answer) == "limit_reached")
        .count();
    assert_eq!((bought, over), (3, 9));
    assert_eq!(guild.posted("user:1", "item:potion").await, 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_ends_when_its_time_has_passed() {
    let now = Arc::new(AtomicU64::new(1_700_000_000_000));
    let clock = {
        let now = Arc::clone(&now);
        Arc::new(move || Timestamp(now.load(Ordering::SeqCst)))
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
    assert_eq!(refused.json()["pointer"], "/config/items/0/price");
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

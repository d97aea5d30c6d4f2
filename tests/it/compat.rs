//! Components built for earlier versions of the contract still work unchanged.

use bursar_server::client::Response;
use bursar_testkit::{Economy, TestCall};
use bytes::Bytes;
use expect_test::expect;
use serde_json::json;

use crate::support::{GUILD, GuildClient, TestServer};

const SHOP: &[u8] = include_bytes!("../compat/0.1.0-first/shop.wasm");
const COINFLIP: &[u8] = include_bytes!("../compat/0.1.0-first/coinflip.wasm");
const SECOND_SHOP: &[u8] = include_bytes!("../compat/0.2.0-first/shop.wasm");
const SECOND_COINFLIP: &[u8] = include_bytes!("../compat/0.2.0-first/coinflip.wasm");

async fn upload(guild: &mut GuildClient, component: &'static [u8]) -> String {
    let bytes = Bytes::from_static(component);
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, bytes)
        .await;
    let uploaded: Response = uploaded.unwrap();
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    uploaded.json()["component"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_of_the_first_contract_still_draws() {
    still_draws(COINFLIP, "coinflip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_of_the_second_contract_still_draws_under_another_name() {
    still_draws(SECOND_COINFLIP, "double-or-nothing").await;
}

async fn still_draws(component: &'static [u8], name: &str) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let digest = upload(&mut guild, component).await;
    guild.install(name, &digest, json!({"asset": "coin"})).await;
    guild.issue(&format!("plugin:{name}"), "coin", 1000).await;
    let bet = json!({"stake": 10, "side": "heads"});
    let action = format!("{name}/flip");
    let flipped = guild.call(&action, "k", "user:1", bet).await.json();
    let coins = if flipped["reply"]["won"] == true {
        1010
    } else {
        990
    };
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    assert_eq!(flipped["draws"]["nonce"], 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_of_the_first_contract_still_sells_and_keeps_its_limits() {
    still_sells(SHOP, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_of_the_second_contract_still_sells_under_another_name() {
    still_sells(SECOND_SHOP, "corner-shop").await;
}

async fn still_sells(component: &'static [u8], name: &str) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let digest = upload(&mut guild, component).await;
    let config = json!({
        "items": [{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 1}],
    });
    guild.install(name, &digest, config).await;
    guild
        .issue(&format!("plugin:{name}"), "item:potion", 10)
        .await;
    let arguments = json!({"item": "item:potion"});
    let action = format!("{name}/buy");
    let bought = guild.call(&action, "a", "user:1", arguments.clone()).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let again = guild.call(&action, "b", "user:1", arguments).await;
    assert_eq!(again.code(), "declined");
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    let till = format!("plugin:{name}:till");
    assert_eq!(guild.posted(&till, "coin").await, 50);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_check_of_the_second_contract_still_works() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let digest = upload(&mut guild, SECOND_COINFLIP).await;
    let path = format!("{GUILD}/plugins/coinflip");
    let body = |most: u64| {
        let config = json!({"asset": "coin", "min_stake": 5, "max_stake": most});
        json!({"component": digest, "grants": "requested", "enabled": true, "config": config})
    };
    let refused = guild.put(&path, body(4)).await;
    assert_eq!(refused.code(), "configuration_refused");
    assert_eq!(refused.json()["findings"][0]["pointer"], "/max_stake");
    let taken = guild.put(&path, body(50)).await.json();
    assert_eq!(taken["needs"][0]["account"], "plugin:coinflip");
    assert_eq!(taken["needs"][0]["at_least"], 50);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_first_contract_moves_nothing_that_is_not_granted() {
    moves_nothing(SHOP, COINFLIP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_second_contract_moves_nothing_that_is_not_granted() {
    moves_nothing(SECOND_SHOP, SECOND_COINFLIP).await;
}

async fn moves_nothing(shop: &'static [u8], coinflip: &'static [u8]) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let shop = upload(&mut guild, shop).await;
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    guild.install("shop", &shop, config).await;
    guild.issue("plugin:shop", "item:potion", 10).await;
    let coinflip = upload(&mut guild, coinflip).await;
    guild
        .install("coinflip", &coinflip, json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1000).await;
    // These grants allow no debit of other accounts, and none of the caller's account.
    let nothing = json!({"grants": {"spend_per_call": {}}});
    for plugin in ["shop", "coinflip"] {
        let path = format!("{GUILD}/plugins/{plugin}");
        guild.put_ok(&path, nothing.clone()).await;
    }
    let arguments = json!({"item": "item:potion"});
    let bought = guild.call("shop/buy", "a", "user:1", arguments).await;
    assert_eq!(bought.code(), "declined", "{}", bought.json());
    let bet = json!({"stake": 10, "side": "heads"});
    let flipped = guild.call("coinflip/flip", "b", "user:1", bet).await;
    assert_eq!(flipped.code(), "declined", "{}", flipped.json());
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    assert_eq!(guild.posted("user:1", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:coinflip", "coin").await, 1000);
    server.close().await;
}

/// Formats a call in one line: its fuel, its reply or decline code, and its postings.
fn line(action: &str, called: &TestCall, replies: bool) -> String {
    let end = if replies {
        called.reply().to_string()
    } else {
        format!("declined {}", called.declined())
    };
    let mut parts = vec![format!("{action} {} {end}", called.fuel())];
    let postings = called.postings().into_iter();
    parts.extend(postings.map(|it| {
        let from = it.source;
        let to = it.destination;
        format!("{from} > {to} {} {}", it.amount, it.asset)
    }));
    parts.join(", ")
}

/// The components and the seed never change, so the host is the cause if the calls of two of its builds or
/// versions differ. Debug and release are two builds.
#[test]
fn calls_of_the_first_contract_are_the_same_on_every_host() {
    let expected = expect![[r#"
        flip 31383 {"paid":0,"side":"tails","won":false}, user:1 > plugin:coinflip 7 coin
        flip 31395 {"paid":0,"side":"heads","won":false}, user:1 > plugin:coinflip 7 coin
        flip 37972 {"paid":14,"side":"heads","won":true}, user:1 > plugin:coinflip 7 coin, plugin:coinflip > user:1 14 coin
        flip 37984 {"paid":14,"side":"tails","won":true}, user:1 > plugin:coinflip 7 coin, plugin:coinflip > user:1 14 coin
        flip 25468 declined house_cannot_cover
        buy 50651 {"item":"item:potion","paid":{"coin":50},"quantity":1}, user:1 > plugin:shop:till 50 coin, plugin:shop > user:1 1 item:potion
        buy 52916 {"item":"item:potion","paid":{"coin":50},"quantity":1}, user:1 > plugin:shop:till 50 coin, plugin:shop > user:1 1 item:potion
        buy 29127 declined limit_reached"#]];
    expected.assert_eq(&calls_of(SHOP, COINFLIP));
}

#[test]
fn calls_of_the_second_contract_are_the_same_on_every_host() {
    let expected = expect![[r#"
        flip 33569 {"paid":0,"side":"tails","won":false}, user:1 > plugin:coinflip 7 coin
        flip 33581 {"paid":0,"side":"heads","won":false}, user:1 > plugin:coinflip 7 coin
        flip 43028 {"paid":14,"side":"heads","won":true}, user:1 > plugin:coinflip 7 coin, plugin:coinflip > user:1 14 coin
        flip 43040 {"paid":14,"side":"tails","won":true}, user:1 > plugin:coinflip 7 coin, plugin:coinflip > user:1 14 coin
        flip 27484 declined house_cannot_cover
        buy 60613 {"item":"item:potion","paid":{"coin":50},"quantity":1}, user:1 > plugin:shop:till 50 coin, plugin:shop > user:1 1 item:potion
        buy 63000 {"item":"item:potion","paid":{"coin":50},"quantity":1}, user:1 > plugin:shop:till 50 coin, plugin:shop > user:1 1 item:potion
        buy 35039 declined limit_reached"#]];
    expected.assert_eq(&calls_of(SECOND_SHOP, SECOND_COINFLIP));
}

/// Makes bets and purchases and returns a line for each.
fn calls_of(shop: &[u8], coinflip: &[u8]) -> String {
    // The name is the seed of the expected draws, which must not change.
    let mut economy = Economy::new(concat!("mus", "eum"));
    economy.asset("coin");
    economy.asset("item:potion");
    economy.member("user:1", &[("coin", 1000)]);
    economy.install(coinflip, json!({"asset": "coin"}));
    economy.issue("plugin:coinflip", "coin", 500);
    let potion = json!({"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 2});
    economy.install(shop, json!({ "items": [potion] }));
    economy.issue("plugin:shop", "item:potion", 10);
    let mut lines = Vec::new();
    for side in ["heads", "tails", "heads", "tails"] {
        let flipped = economy.call("user:1", "coinflip/flip", json!({"stake": 7, "side": side}));
        lines.push(line("flip", &flipped, true));
    }
    let high = economy.call(
        "user:1",
        "coinflip/flip",
        json!({"stake": 900, "side": "heads"}),
    );
    lines.push(line("flip", &high, false));
    for replies in [true, true, false] {
        let bought = economy.call("user:1", "shop/buy", json!({"item": "item:potion"}));
        lines.push(line("buy", &bought, replies));
    }
    lines.join("\n")
}

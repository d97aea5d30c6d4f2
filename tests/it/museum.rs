//! Components that were built against the contract as it was: they go on working as they are.

use bursar_server::client::Response;
use bytes::Bytes;
use serde_json::json;

use crate::support::{GUILD, Guild, House};

const SHOP: &[u8] = include_bytes!("../museum/0.1.0-first/shop.wasm");
const COINFLIP: &[u8] = include_bytes!("../museum/0.1.0-first/coinflip.wasm");

async fn upload(guild: &mut Guild, component: &'static [u8]) -> String {
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
    let (house, mut guild) = House::with_guild(1).await;
    let digest = upload(&mut guild, COINFLIP).await;
    guild
        .install("coinflip", &digest, json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1000).await;
    let bet = json!({"stake": 10, "side": "heads"});
    let flipped = guild.call("coinflip/flip", "k", "user:1", bet).await.json();
    let coins = if flipped["reply"]["won"] == true {
        1010
    } else {
        990
    };
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    assert_eq!(flipped["draws"]["nonce"], 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_of_the_first_contract_still_sells_and_keeps_its_limits() {
    let (house, mut guild) = House::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let digest = upload(&mut guild, SHOP).await;
    let config = json!({
        "items": [{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 1}],
    });
    guild.install("shop", &digest, config).await;
    guild.issue("plugin:shop", "item:potion", 10).await;
    let wanted = json!({"item": "item:potion"});
    let bought = guild.call("shop/buy", "a", "user:1", wanted.clone()).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let again = guild.call("shop/buy", "b", "user:1", wanted).await;
    assert_eq!(again.code(), "declined");
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_first_contract_moves_nothing_that_is_not_granted() {
    let (house, mut guild) = House::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let shop = upload(&mut guild, SHOP).await;
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    guild.install("shop", &shop, config).await;
    guild.issue("plugin:shop", "item:potion", 10).await;
    let coinflip = upload(&mut guild, COINFLIP).await;
    guild
        .install("coinflip", &coinflip, json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1000).await;
    // No account of others, and nothing of the caller's.
    let nothing = json!({"grants": {"spend_per_call": {}}});
    for plugin in ["shop", "coinflip"] {
        let path = format!("{GUILD}/plugins/{plugin}");
        guild.made(&path, nothing.clone()).await;
    }
    let wanted = json!({"item": "item:potion"});
    let bought = guild.call("shop/buy", "a", "user:1", wanted).await;
    assert_eq!(bought.code(), "declined", "{}", bought.json());
    let bet = json!({"stake": 10, "side": "heads"});
    let flipped = guild.call("coinflip/flip", "b", "user:1", bet).await;
    assert_eq!(flipped.code(), "declined", "{}", flipped.json());
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    assert_eq!(guild.posted("user:1", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:coinflip", "coin").await, 1000);
    house.close().await;
}

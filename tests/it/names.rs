//! Names of plugins: the operator chooses them, and what an installation has goes by its name.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House};

/// A shop of version 0.1.0 of the contract: it spells `plugin:shop` itself.
const OLD_SHOP: &[u8] = include_bytes!("../museum/0.1.0-first/shop.wasm");

/// Uploads that shop, beside what it may sell.
async fn old_shop(guild: &mut Guild) -> Value {
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let bytes = Bytes::from_static(OLD_SHOP);
    let uploaded = guild.client.send("POST", "/v1/components", None, bytes);
    let uploaded = uploaded.await.unwrap().json();
    uploaded["component"].clone()
}

fn stock() -> Value {
    json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_spells_its_name_is_installed_under_that_only() {
    let (house, mut guild) = House::with_guild(1).await;
    let component = old_shop(&mut guild).await;
    let installation = json!({"component": component, "config": stock()});
    let market = format!("{GUILD}/plugins/market");
    let refused = guild.put(&market, installation.clone()).await;
    assert_eq!(refused.status, 409, "{}", refused.json());
    let problem = refused.json();
    assert_eq!(
        (&problem["code"], &problem["plugin"], &problem["id"]),
        (&json!("name_is_fixed"), &json!("market"), &json!("shop"))
    );
    guild
        .made(&format!("{GUILD}/plugins/shop"), installation)
        .await;
    let shop = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    assert_eq!(
        (&shop["name"], &shop["plugin"]),
        (&json!("shop"), &json!("shop"))
    );
    house.close().await;
}

/// Else another plugin would find what is left in the till, after a restart too.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_stays_with_its_plugin_after_an_uninstall_and_a_restart() {
    let (house, mut guild) = House::with_guild(1).await;
    let component = old_shop(&mut guild).await;
    let shop = format!("{GUILD}/plugins/shop");
    let installation = json!({"component": component, "config": stock()});
    guild.made(&shop, installation.clone()).await;
    guild.issue("plugin:shop:till", "coin", 5).await;
    let removed = guild.client.send("DELETE", &shop, None, Bytes::new()).await;
    assert_eq!(
        removed.unwrap().json(),
        json!({"name": "shop", "removed": true, "changed": true})
    );
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    // Said before anything is said of a configuration that is meant for another plugin.
    let coinflip = json!({"component": "bundled:coinflip", "config": stock()});
    let refused = guild.put(&shop, coinflip).await;
    assert_eq!(refused.status, 409, "{}", refused.json());
    let problem = refused.json();
    assert_eq!(
        (&problem["code"], &problem["bound"], &problem["id"]),
        (&json!("name_taken"), &json!("shop"), &json!("coinflip"))
    );
    guild.made(&shop, installation).await;
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 5);
    house.close().await;
}

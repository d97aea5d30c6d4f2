//! Names of installed plugins: the operator chooses them, and accounts, state and holds belong to the name.

use bursar_ledger::NAME_CHARS_MAX;
use bursar_server::client::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::manifests::{component, manifest};
use crate::receipts::verify;
use crate::replay::replay;
use crate::support::{
    GUILD, GuildClient, TestServer, assert_audit_passes, decline_code, install_malicious, upload,
};
use crate::wait::eventually;

/// A shop for version 0.1.0 of the contract, which names the account `plugin:shop` itself.
const OLD_SHOP: &[u8] = include_bytes!("../compat/0.1.0-first/shop.wasm");

/// Uploads the shop and creates the item it sells.
async fn upload_old_shop(guild: &mut GuildClient) -> Value {
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let bytes = Bytes::from_static(OLD_SHOP);
    let uploaded = guild.client.send("POST", "/v1/components", None, bytes);
    let uploaded = uploaded.await.unwrap().json();
    uploaded["component"].clone()
}

/// Installs the malicious test plugin under its own name and as `rogue`.
async fn install_malicious_twice(guild: &mut GuildClient) {
    install_malicious(guild).await;
    let malicious = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    let component = malicious["component"].as_str().unwrap().to_owned();
    guild.install("rogue", &component, json!({})).await;
}

fn stock() -> Value {
    json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_a_fixed_name_is_installed_only_under_it() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let component = upload_old_shop(&mut guild).await;
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
        .put_ok(&format!("{GUILD}/plugins/shop"), installation)
        .await;
    let shop = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    assert_eq!(
        (&shop["name"], &shop["plugin"]),
        (&json!("shop"), &json!("shop"))
    );
    server.close().await;
}

/// Otherwise another plugin could take what is left in the till.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_stays_bound_to_its_plugin_after_an_uninstall_and_a_restart() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let component = upload_old_shop(&mut guild).await;
    let shop = format!("{GUILD}/plugins/shop");
    let installation = json!({"component": component, "config": stock()});
    guild.put_ok(&shop, installation.clone()).await;
    guild.issue("plugin:shop:till", "coin", 5).await;
    let removed = guild.client.send("DELETE", &shop, None, Bytes::new()).await;
    assert_eq!(
        removed.unwrap().json(),
        json!({"name": "shop", "removed": true, "changed": true})
    );
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    // This is refused before the configuration, which is for another plugin, is checked.
    let coinflip = json!({"component": "bundled:coinflip", "config": stock()});
    let refused = guild.put(&shop, coinflip).await;
    assert_eq!(refused.status, 409, "{}", refused.json());
    let problem = refused.json();
    assert_eq!(
        (&problem["code"], &problem["bound"], &problem["id"]),
        (&json!("name_taken"), &json!("shop"), &json!("coinflip"))
    );
    guild.put_ok(&shop, installation).await;
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 5);
    server.close().await;
}

/// Installs a shop that sells potions at a price, under this name.
async fn open_shop(guild: &mut GuildClient, name: &str, price: u64, more: Value) {
    let mut offer = json!({
        "item": "item:potion", "price": {"coin": price}, "per_member_limit": 1,
        "refund_within_s": 3600,
    });
    let offer_members = offer.as_object_mut().unwrap();
    offer_members.extend(more.as_object().unwrap().clone());
    let config = json!({ "items": [offer] });
    guild.install(name, "bundled:shop", config).await;
    guild
        .issue(&format!("plugin:{name}"), "item:potion", 3)
        .await;
}

async fn buy(guild: &mut GuildClient, shop: &str, key: &str, member: &str) -> Response {
    let arguments = json!({"item": "item:potion"});
    guild
        .call(&format!("{shop}/buy"), key, member, arguments)
        .await
}

/// Returns a shop's stock and the coins in its till.
async fn shelf_and_till(guild: &mut GuildClient, shop: &str) -> [i64; 2] {
    let shelf = guild.posted(&format!("plugin:{shop}"), "item:potion").await;
    let till = guild.posted(&format!("plugin:{shop}:till"), "coin").await;
    [shelf, till]
}

async fn server_with_two_shops() -> (TestServer, GuildClient) {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    open_shop(&mut guild, "shop", 50, json!({})).await;
    open_shop(&mut guild, "market", 10, json!({"restock": {"to": 3}})).await;
    (server, guild)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shops_of_one_component_sell_refund_and_restock_separately() {
    let (server, mut guild) = server_with_two_shops().await;
    let listed = guild.get(&format!("{GUILD}/plugins")).await.json();
    let named: Vec<[&Value; 3]> = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| [&plugin["name"], &plugin["plugin"], &plugin["component"]])
        .collect();
    assert_eq!(
        named.iter().map(|plugin| plugin[0]).collect::<Vec<_>>(),
        ["market", "shop"]
    );
    assert!(
        named
            .iter()
            .all(|plugin| plugin[1] == "shop" && plugin[2] == named[0][2])
    );
    for (shop, paid) in [("shop", 50), ("market", 10)] {
        let bought = buy(&mut guild, shop, &format!("{shop} 1"), "user:1").await;
        assert_eq!(
            bought.json()["reply"]["paid"],
            json!({"coin": paid}),
            "{}",
            bought.json()
        );
        // The limit of one shop does not count purchases in the other.
        let more = buy(&mut guild, shop, &format!("{shop} 2"), "user:1").await;
        assert_eq!(decline_code(&more), "limit_reached", "{}", more.json());
        assert_eq!(shelf_and_till(&mut guild, shop).await, [2, paid]);
    }
    assert_eq!(guild.posted("user:1", "coin").await, 940);
    // Each shop numbers its own purchases.
    let back = guild
        .call("market/refund", "back", "user:1", json!({"purchase": 1}))
        .await;
    assert_eq!(back.status, 200, "{}", back.json());
    assert_eq!(guild.posted("user:1", "coin").await, 950);
    assert_eq!(shelf_and_till(&mut guild, "market").await, [3, 0]);
    assert_eq!(shelf_and_till(&mut guild, "shop").await, [2, 50]);
    // The market is restocked when due, and the shop is not.
    let bought = buy(&mut guild, "market", "market 3", "user:2").await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    guild
        .issue("plugin:market:storeroom", "item:potion", 9)
        .await;
    guild.issue("plugin:shop:storeroom", "item:potion", 9).await;
    let often = json!({"schedules": {"restock": {"every_s": 1}}});
    guild
        .put_ok(&format!("{GUILD}/plugins/market"), often)
        .await;
    eventually("the market's shelf is full", async || {
        let shelf = guild.posted("plugin:market", "item:potion").await;
        (shelf == 3).then_some(())
    })
    .await;
    assert_eq!(
        guild.posted("plugin:market:storeroom", "item:potion").await,
        8
    );
    assert_eq!(
        guild.posted("plugin:shop:storeroom", "item:potion").await,
        9
    );
    assert_eq!(shelf_and_till(&mut guild, "shop").await, [2, 50]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_replay_use_the_name_of_the_installation() {
    let (server, mut guild) = server_with_two_shops().await;
    let mut receipts = Vec::new();
    for shop in ["shop", "market"] {
        let bought = buy(&mut guild, shop, shop, "user:1").await.json();
        let call = bought["call"].as_str().unwrap();
        let receipt = guild.get(&format!("{GUILD}/calls/{call}")).await.json();
        let installed = guild.get(&format!("{GUILD}/plugins/{shop}")).await.json();
        assert_eq!(receipt["call"]["request"]["plugin"], shop);
        assert_eq!(receipt["installation"]["id"], "shop");
        assert_eq!(receipt["call"]["component"], installed["component"]);
        receipts.push(receipt);
    }
    let limit = buy(&mut guild, "market", "more", "user:1").await;
    assert_eq!(decline_code(&limit), "limit_reached");
    let folder = server.into_folder().await;
    assert_audit_passes(&folder.path().join("test.db"));
    for receipt in &mut receipts {
        let (code, output) = verify(folder.path(), receipt, &[]);
        assert_eq!(code, Some(0), "{output}");
        // Under the other name the call would have used other accounts.
        let name = &mut receipt["call"]["request"]["plugin"];
        *name = json!(if name == "shop" { "market" } else { "shop" });
        let (code, output) = verify(folder.path(), receipt, &[]);
        assert_eq!(code, Some(1), "{output}");
    }
    let file = folder.path().join("test.db");
    for (shop, calls) in [("shop", 1), ("market", 2)] {
        let (code, output) = replay(&file, shop, &[]);
        assert_eq!(code, Some(0), "{output}");
        assert!(
            output.contains(&format!("{calls} calls have the same result, 0")),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_one_shop_leaves_the_other_working() {
    let (server, mut guild) = server_with_two_shops().await;
    for shop in ["shop", "market"] {
        assert_eq!(buy(&mut guild, shop, shop, "user:1").await.status, 200);
    }
    let market = format!("{GUILD}/plugins/market");
    let shop_before = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    let removed = guild
        .client
        .send("DELETE", &market, None, Bytes::new())
        .await;
    assert_eq!(removed.unwrap().status, 200);
    let gone = buy(&mut guild, "market", "gone", "user:2").await;
    assert_eq!(gone.code(), "plugin_not_found");
    assert_eq!(
        guild.get(&format!("{GUILD}/plugins/shop")).await.json(),
        shop_before
    );
    assert_eq!(buy(&mut guild, "shop", "on", "user:2").await.status, 200);
    let limit = buy(&mut guild, "shop", "more", "user:1").await;
    assert_eq!(
        decline_code(&limit),
        "limit_reached",
        "the shop keeps its state"
    );
    assert_eq!(
        shelf_and_till(&mut guild, "market").await,
        [2, 10],
        "accounts stay"
    );
    // Another plugin cannot use the accounts. The same plugin gets them back, with an empty state.
    let other = json!({"component": "bundled:coinflip", "config": {"asset": "coin"}});
    assert_eq!(guild.put(&market, other).await.code(), "name_taken");
    let config =
        json!({"items": [{"item": "item:potion", "price": {"coin": 10}, "per_member_limit": 1}]});
    guild.install("market", "bundled:shop", config).await;
    let bought = buy(&mut guild, "market", "reinstalled", "user:1").await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    assert_eq!(shelf_and_till(&mut guild, "market").await, [1, 20]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_and_draws_belong_to_the_installation_name() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious_twice(&mut guild).await;
    let stake = json!({"asset": "coin", "amount": 100});
    for name in ["malicious", "rogue"] {
        let staked = guild
            .call(&format!("{name}/stake"), name, "user:1", stake.clone())
            .await;
        let hold = staked.json()["reply"]["text"].as_str().unwrap().to_owned();
        let hold = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        assert_eq!(
            (&hold["plugin"], &hold["to"]),
            (&json!(name), &json!(format!("plugin:{name}"))),
            "{hold}"
        );
    }
    for (name, most) in [("red", 10), ("blue", 20)] {
        let config = json!({"asset": "coin", "max_stake": most});
        guild.install(name, "bundled:coinflip", config).await;
        guild.issue(&format!("plugin:{name}"), "coin", 500).await;
    }
    let mut calls = Vec::new();
    for (nonce, name) in [(1, "red"), (2, "blue"), (3, "red")] {
        let bet = json!({"stake": 10, "side": "heads"});
        let flipped = guild
            .call(
                &format!("{name}/flip"),
                &format!("flip {nonce}"),
                "user:1",
                bet,
            )
            .await;
        let flipped = flipped.json();
        assert_eq!(flipped["draws"]["nonce"], nonce, "{flipped}");
        calls.push(flipped["call"].as_str().unwrap().to_owned());
    }
    let rogue = format!("{GUILD}/plugins/rogue");
    for path in [rogue, format!("{GUILD}/plugins/malicious")] {
        let removed = guild.client.send("DELETE", &path, None, Bytes::new()).await;
        assert_eq!(removed.unwrap().status, 200);
    }
    guild.post("seeds/rotate", "now", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    for call in calls {
        let path = format!("{GUILD}/calls/{call}");
        let public = eventually("the seed is public", async || {
            let receipt = guild.get(&path).await.json();
            receipt["seed"]["seed"].is_string().then_some(receipt)
        });
        let (code, output) = verify(folder.path(), &public.await, &[]);
        assert_eq!(code, Some(0), "{output}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_one_installation_leaves_the_other_enabled() {
    let (server, mut guild) = TestServer::with_guild(6).await;
    install_malicious_twice(&mut guild).await;
    let mut off = false;
    for number in 0..400 {
        let caller = format!("user:{}", number % 6 + 1);
        let key = format!("spin {number}");
        let spun = guild.call("rogue/spin", &key, &caller, json!({})).await;
        if spun.code() == "plugin_disabled" {
            off = true;
            break;
        }
    }
    assert!(off, "the plugin is disabled");
    let rogue = guild.get(&format!("{GUILD}/plugins/rogue")).await.json();
    assert_eq!(rogue["switched_off"]["reason"], "faults");
    let malicious = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    assert_eq!(
        (&malicious["enabled"], &malicious["switched_off"]),
        (&json!(true), &Value::Null)
    );
    let honest = guild
        .call("malicious/honest", "k", "user:1", json!({}))
        .await;
    assert_eq!(honest.status, 200, "{}", honest.json());
    server.close().await;
}

/// An account's name has at most 128 characters and contains the plugin's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_makes_an_account_too_long_is_refused() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let sub = "s".repeat(NAME_CHARS_MAX - "plugin::".len() - 63);
    let mut manifest = manifest("/accounts", json!([sub]));
    manifest["schedules"] = json!([]);
    let bytes = component(&manifest);
    let uploaded = upload(server.admin(), bytes).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    let installation = json!({"component": uploaded.json()["component"]});
    let named = |chars: usize| "n".repeat(chars);
    let path = |chars| format!("{GUILD}/plugins/{}", named(chars));
    guild.put_ok(&path(63), installation.clone()).await;
    let longest = format!("plugin:{}:{sub}", named(63));
    assert_eq!(longest.len(), NAME_CHARS_MAX);
    let account = guild.get(&format!("{GUILD}/accounts/{longest}")).await;
    assert_eq!(account.status, 200);
    let beyond = guild.put(&path(64), installation).await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.code()),
        (400, "malformed".into())
    );
    assert_eq!(guild.get(&path(64)).await.code(), "plugin_not_found");
    server.close().await;
}

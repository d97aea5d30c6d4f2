//! Revisions of an installed plugin: actor and changes of each, and rollbacks.

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, install_malicious, trap_after_draws};

const COINFLIP: &str = "/v1/economies/guild/plugins/coinflip";

async fn revisions(guild: &mut GuildClient, query: &str) -> Vec<Value> {
    let page = guild.get(&format!("{COINFLIP}/revisions{query}")).await;
    assert_eq!(page.status, 200, "{}", page.json());
    page.json()["revisions"].as_array().unwrap().clone()
}

/// Installs coinflip with a maximum stake of 10, and changes it to 20 and to 30.
async fn install_with_three_stakes(guild: &mut GuildClient) {
    let config = json!({"asset": "coin", "max_stake": 10});
    guild.install("coinflip", "bundled:coinflip", config).await;
    for most in [20, 30] {
        let config = json!({"asset": "coin", "max_stake": most});
        guild.put_ok(COINFLIP, json!({ "config": config })).await;
    }
}

async fn max_stake(guild: &mut GuildClient) -> Value {
    guild.get(COINFLIP).await.json()["config"]["max_stake"].clone()
}

async fn roll_back(
    guild: &mut GuildClient,
    key: &str,
    body: Value,
) -> bursar_server::client::Response {
    guild.post("plugins/coinflip/rollback", key, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_settings_is_listed_with_its_actor_and_changes() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_with_three_stakes(&mut guild).await;
    guild
        .put_ok(COINFLIP, json!({"enabled": false, "follow": true}))
        .await;
    // An update that changes nothing makes no revision.
    guild.put_ok(COINFLIP, json!({"follow": true})).await;
    let listed = revisions(&mut guild, "").await;
    let changes: Vec<&Value> = listed.iter().map(|revision| &revision["changes"]).collect();
    assert_eq!(changes.len(), 4, "{listed:?}");
    assert_eq!(
        *changes[0],
        json!([
            {"pointer": "/enabled", "from": true, "to": false},
            {"pointer": "/follow", "from": false, "to": true},
        ])
    );
    let stakes =
        |from: u64, to: u64| json!([{"pointer": "/config/max_stake", "from": from, "to": to}]);
    assert_eq!([changes[1], changes[2]], [&stakes(20, 30), &stakes(10, 20)]);
    let installed = changes[3].as_array().unwrap();
    let config = installed
        .iter()
        .find(|change| change["pointer"] == "/config")
        .unwrap();
    assert_eq!(
        *config,
        json!({"pointer": "/config", "to": {"asset": "coin", "max_stake": 10}})
    );
    let actor = guild.events().await[0]["actor"].clone();
    for revision in &listed {
        assert_eq!(
            (&revision["request"], &revision["actor"]),
            (&json!("PUT"), &actor)
        );
        assert!(revision["at"].is_u64());
    }
    // Paging returns the same revisions.
    let first = revisions(&mut guild, "?limit=1").await;
    assert_eq!(first, listed[..1]);
    let before = first[0]["revision"].as_u64().unwrap();
    let rest = revisions(&mut guild, &format!("?limit=20&before={before}")).await;
    assert_eq!(rest, listed[1..]);
    let beyond = guild.get(&format!("{COINFLIP}/revisions?limit=21")).await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.code()),
        (400, "malformed".into())
    );
    let none = guild.get(&format!("{GUILD}/plugins/none/revisions")).await;
    assert_eq!(
        (none.status.as_u16(), none.code()),
        (404, "plugin_not_found".into())
    );
    server.close().await;
}

/// The server disables a plugin whose calls keep failing. This makes a revision as well.
#[tokio::test(flavor = "multi_thread")]
async fn disabling_by_the_server_is_listed_as_a_revision() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    trap_after_draws(&mut guild, 3).await;
    let malicious = format!("{GUILD}/plugins/malicious");
    guild.put_ok(&malicious, json!({"enabled": true})).await;
    let page = guild.get(&format!("{malicious}/revisions")).await.json();
    let listed = page["revisions"].as_array().unwrap();
    let switched = |from: bool| json!([{"pointer": "/enabled", "from": from, "to": !from}]);
    assert_eq!(
        [&listed[0]["changes"], &listed[1]["changes"]],
        [&switched(false), &switched(true)]
    );
    assert_eq!(
        [&listed[0]["request"], &listed[1]["request"]],
        ["PUT", "POST"]
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_rolled_back_to_any_listed_revision() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_with_three_stakes(&mut guild).await;
    guild.put_ok(COINFLIP, json!({"enabled": false})).await;
    let listed = revisions(&mut guild, "").await;
    let undo = json!({"what": "configuration"});
    let back = roll_back(&mut guild, "r1", undo.clone()).await;
    assert_eq!(back.status, 200, "{}", back.json());
    assert_eq!(
        (&back.json()["config"]["max_stake"], &back.json()["changed"]),
        (&json!(20), &json!(true))
    );
    assert_eq!(back.json()["enabled"], false, "`enabled` is unchanged");
    let again = roll_back(&mut guild, "r1", undo.clone()).await;
    assert!(again.replayed && again.body == back.body);
    roll_back(&mut guild, "r2", undo).await;
    assert_eq!(max_stake(&mut guild).await, 30);
    let first = listed.last().unwrap()["revision"].clone();
    let to_first = json!({"what": "configuration", "to": first});
    let back = roll_back(&mut guild, "r3", to_first.clone()).await;
    assert_eq!(back.json()["config"]["max_stake"], 10, "{}", back.json());
    let unchanged = roll_back(&mut guild, "r4", to_first).await;
    assert_eq!(unchanged.json()["changed"], false, "{}", unchanged.json());
    let newest = revisions(&mut guild, "?limit=1").await;
    assert_eq!(newest[0]["request"], "POST");
    assert_eq!(
        newest[0]["changes"],
        json!([{"pointer": "/config/max_stake", "from": 30, "to": 10}])
    );
    // A restart changes no revision.
    let listed = revisions(&mut guild, "?limit=20").await;
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(revisions(&mut guild, "?limit=20").await, listed);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_must_name_what_to_roll_back() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    let absent = roll_back(&mut guild, "k1", json!({})).await;
    assert_eq!(
        (absent.status.as_u16(), &absent.json()["pointer"]),
        (400, &json!("/what"))
    );
    let detail = absent.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("component") && detail.contains("configuration"),
        "{detail}"
    );
    let beside = json!({"what": "component", "to": 1});
    let beside = roll_back(&mut guild, "k2", beside).await;
    assert_eq!(
        (beside.status.as_u16(), &beside.json()["pointer"]),
        (400, &json!("/to"))
    );
    for what in ["component", "configuration"] {
        let key = format!("none {what}");
        let none = roll_back(&mut guild, &key, json!({ "what": what })).await;
        assert_eq!(
            (none.status.as_u16(), none.code()),
            (409, "nothing_before".into())
        );
        let again = roll_back(&mut guild, &key, json!({ "what": what })).await;
        assert!(again.replayed && again.body == none.body);
    }
    let unknown = json!({"what": "configuration", "to": 1});
    let unknown = roll_back(&mut guild, "k3", unknown).await;
    assert_eq!(
        (
            unknown.status.as_u16(),
            unknown.code(),
            &unknown.json()["revision"]
        ),
        (422, "revision_unknown".into(), &json!(1))
    );
    server.close().await;
}

async fn preview_put(
    guild: &mut GuildClient,
    plugin: &str,
    body: Value,
) -> bursar_server::client::Response {
    let path = format!("{GUILD}/plugins/{plugin}?preview=true");
    let response = guild.client.put(&path, &body).await.unwrap();
    crate::openapi_check::check("PUT", &format!("{GUILD}/plugins/{plugin}"), &response);
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_an_installation_shows_the_changes_and_installs_nothing() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let events = guild.events().await.len();
    let components = guild.get("/v1/components").await.json();
    let install = json!({
        "component": "bundled:coinflip", "config": {"asset": "coin"}, "enabled": true,
    });
    let new = preview_put(&mut guild, "coinflip", install.clone()).await;
    assert_eq!(new.status, 200, "{}", new.json());
    let new = new.json();
    assert_eq!(
        (&new["preview"], &new["changed"]),
        (&json!(true), &json!(true))
    );
    let changes = new["changes"].as_array().unwrap();
    let pointers: Vec<&str> = changes
        .iter()
        .map(|change| change["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/component",
            "/config",
            "/enabled",
            "/follow",
            "/grants",
            "/schedules"
        ]
    );
    assert_eq!(
        changes[1],
        json!({"pointer": "/config", "to": {"asset": "coin"}})
    );
    // A preview with findings succeeds and returns all of them.
    let wrong = json!({"component": "bundled:coinflip", "config": {"asset": "gem"}});
    let wrong = preview_put(&mut guild, "coinflip", wrong).await;
    assert_eq!(wrong.status, 200, "{}", wrong.json());
    assert_eq!(
        wrong.json()["findings"][0]["pointer"],
        "/asset",
        "{}",
        wrong.json()
    );
    assert_eq!(guild.get(COINFLIP).await.code(), "plugin_not_found");
    assert_eq!(guild.get("/v1/components").await.json(), components);
    assert_eq!(guild.events().await.len(), events, "nothing is recorded");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_an_update_shows_the_changes_and_changes_nothing() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let install = json!({
        "component": "bundled:coinflip", "config": {"asset": "coin"}, "enabled": true,
    });
    guild.put_ok(COINFLIP, install.clone()).await;
    let events = guild.events().await.len();
    let same = preview_put(&mut guild, "coinflip", install).await.json();
    assert_eq!(
        (&same["changed"], &same["changes"]),
        (&json!(false), &json!([]))
    );
    let other = json!({"config": {"asset": "coin", "max_stake": 5}, "enabled": false});
    let other = preview_put(&mut guild, "coinflip", other).await.json();
    assert_eq!(
        other["changes"],
        json!([
            {"pointer": "/config/max_stake", "to": 5},
            {"pointer": "/enabled", "from": true, "to": false},
        ])
    );
    // A preview rejects the updates that the ledger would reject.
    let wide = json!({"grants": {"debit": ["user:1"]}});
    let wide = preview_put(&mut guild, "coinflip", wide).await;
    assert_eq!(
        (wide.status.as_u16(), wide.code()),
        (422, "grant_too_wide".into())
    );
    let taken = json!({"component": "bundled:shop", "config": {"items": []}});
    let taken = preview_put(&mut guild, "coinflip", taken).await;
    assert_eq!(
        (taken.status.as_u16(), taken.code()),
        (409, "name_taken".into())
    );
    assert_eq!(guild.events().await.len(), events, "nothing is recorded");
    assert_eq!(
        guild.get(COINFLIP).await.json()["config"],
        json!({"asset": "coin"})
    );
    server.close().await;
}

/// A configuration that the component no longer accepts cannot be restored.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_configuration_is_checked_like_a_new_one() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let old = include_bytes!("../compat/0.1.0-first/shop.wasm");
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, (&old[..]).into())
        .await;
    let old = uploaded.unwrap().json()["component"].clone();
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let shop = format!("{GUILD}/plugins/shop");
    let sold = |more: Value| {
        let mut offer = json!({"item": "item:potion", "price": {"coin": 50}});
        offer
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"items": [offer]})
    };
    let config = sold(json!({"restock": {"to": 3}}));
    guild.install("shop", "bundled:shop", config).await;
    guild
        .put_ok(&shop, json!({"config": sold(json!({}))}))
        .await;
    let undo = json!({"what": "configuration"});
    let undone = guild
        .post("plugins/shop/rollback", "undone", undo.clone())
        .await;
    assert_eq!(undone.status, 200, "{}", undone.json());
    let before = json!({"component": old, "config": sold(json!({})), "enabled": true});
    guild.put_ok(&shop, before).await;
    // The kept answer is replayed, although the component does not accept this configuration any more.
    let again = guild.post("plugins/shop/rollback", "undone", undo).await;
    assert!(
        again.replayed && again.body == undone.body,
        "{}",
        again.json()
    );
    let back = guild
        .post(
            "plugins/shop/rollback",
            "k",
            json!({"what": "configuration"}),
        )
        .await;
    assert_eq!(
        (back.status.as_u16(), back.code()),
        (422, "configuration_refused".into()),
        "{}",
        back.json()
    );
    assert_eq!(guild.get(&shop).await.json()["config"], sold(json!({})));
    server.close().await;
}

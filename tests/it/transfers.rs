//! Transfers between accounts: all or nothing, within the limits of every account.

use serde_json::json;

use crate::support::{GUILD, STARTING_BALANCE, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_moves_money_and_returns_the_new_balances() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let made = guild.transfer("k", "user:1", "user:2", 300).await;
    assert_eq!(made.status, 201);
    let body = made.json();
    assert_eq!(body["balances"]["user:1"]["coin"], 700);
    assert_eq!(body["balances"]["user:2"]["coin"], 1300);
    assert!(body["id"].is_string() && body["seq"].is_u64() && body["recorded_at"].is_u64());
    assert_eq!(guild.coin_balances(2).await, [700, 1300]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_postings_of_a_transfer_are_applied_or_none() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let two = |last| {
        json!({"postings": [
            {"from": "user:1", "to": "user:2", "asset": "coin", "amount": 400},
            {"from": "user:2", "to": "user:3", "asset": "coin", "amount": last},
        ]})
    };
    // Postings apply in order: the second can spend what the first one brought.
    assert_eq!(guild.post("transfers", "a", two(1400)).await.status, 201);
    assert_eq!(guild.coin_balances(3).await, [600, 0, 2400]);
    let refused = guild.post("transfers", "b", two(401)).await;
    assert_eq!(refused.status, 422);
    let body = refused.json();
    assert_eq!(body["code"], "insufficient_funds");
    assert_eq!(
        (&body["account"], &body["available"], &body["required"]),
        (&json!("user:2"), &json!(400), &json!(401))
    );
    assert_eq!(guild.coin_balances(3).await, [600, 0, 2400]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_limits_and_ceilings_are_exact() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:1"),
            json!({"credit_limit": {"coin": 50}}),
        )
        .await;
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:2"),
            json!({"ceiling": {"coin": STARTING_BALANCE + 1050}}),
        )
        .await;
    assert_eq!(
        guild
            .transfer("over", "user:1", "user:2", 1051)
            .await
            .code(),
        "insufficient_funds"
    );
    assert_eq!(
        guild.transfer("all", "user:1", "user:2", 1050).await.status,
        201
    );
    assert_eq!(guild.coin_balances(2).await, [-50, 2050]);
    guild.issue("user:1", "coin", 200).await;
    let full = guild.transfer("full", "user:1", "user:2", 1).await;
    assert_eq!(
        (full.status.as_u16(), full.code()),
        (422, "ceiling_exceeded".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_outside_its_limits_only_moves_towards_them_and_is_listed_by_the_audit() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:1"),
            json!({"ceiling": {"coin": 500}}),
        )
        .await;
    assert_eq!(
        guild.transfer("in", "user:2", "user:1", 1).await.code(),
        "ceiling_exceeded"
    );
    assert_eq!(
        guild.transfer("out", "user:1", "user:2", 100).await.status,
        201
    );
    let report = server.close().await;
    let outside = report.outside.first().expect("the account is listed");
    assert!(
        outside.what.contains("user:1") && outside.explained_by_seq > 0,
        "{outside:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_supply_is_bounded_by_its_maximum() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let gem = json!({"kind": "item", "name": "Gem", "max_supply": 3});
    guild.put_ok(&format!("{GUILD}/assets/item:gem"), gem).await;
    guild.issue("user:1", "item:gem", 3).await;
    let body = json!({"account": "user:1", "asset": "item:gem", "amount": 1});
    let refused = guild.post("issue", "one more", body.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "supply_limit".into())
    );
    assert_eq!(guild.post("burn", "burn", body.clone()).await.status, 201);
    assert_eq!(guild.post("issue", "again", body).await.status, 201);
    let lowered = guild
        .put(
            &format!("{GUILD}/assets/item:gem"),
            json!({"max_supply": 2}),
        )
        .await;
    assert_eq!(lowered.code(), "supply_limit");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_cannot_use_issuers_and_bots_cannot_debit_plugins() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 100).await;
    for (key, from, to) in [
        ("a", "issuer:coin", "user:1"),
        ("b", "user:1", "issuer:coin"),
    ] {
        assert_eq!(
            guild.transfer(key, from, to, 1).await.code(),
            "issuer_account"
        );
    }
    let bot = json!({"scopes": ["transfer", "read"], "economies": ["guild"]});
    let key = guild.put("/v1/keys/bot", bot).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let admin = std::mem::replace(&mut guild.client, server.client(&key));
    assert_eq!(
        guild
            .transfer("c", "plugin:coinflip", "user:1", 1)
            .await
            .code(),
        "plugin_account"
    );
    guild.client = admin;
    assert_eq!(
        guild
            .transfer("d", "plugin:coinflip", "user:1", 1)
            .await
            .status,
        201
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_keeps_absent_members_and_clears_null_ones() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let path = format!("{GUILD}/accounts/user:9");
    let made = guild
        .put(
            &path,
            json!({"ceiling": {"coin": 10}, "metadata": {"name": "Ada"}}),
        )
        .await;
    assert_eq!(
        (made.status.as_u16(), &made.json()["changed"]),
        (201, &json!(true))
    );
    let again = guild.put(&path, json!({})).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["changed"]),
        (200, &json!(false))
    );
    assert_eq!(again.json()["metadata"]["name"], "Ada");
    let cleared = guild.put(&path, json!({"metadata": null})).await.json();
    assert_eq!(
        (cleared.get("metadata"), &cleared["ceiling"]),
        (None, &json!({"coin": 10}))
    );
    let fixed = guild
        .put(&format!("{GUILD}/assets/coin"), json!({"decimals": 2}))
        .await;
    assert_eq!(
        (fixed.status.as_u16(), fixed.code()),
        (409, "asset_fixed".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_and_tcp_give_equal_responses() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let over_tcp = guild.get(&format!("{GUILD}/accounts/user:1")).await;
    let unix_client = server
        .unix_client()
        .get(&format!("{GUILD}/accounts/user:1"))
        .await
        .unwrap();
    assert_eq!(over_tcp, unix_client);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_on_a_frozen_account_until_it_is_open_again() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    let account = format!("{GUILD}/accounts/user:1");
    guild.put_ok(&account, json!({"status": "frozen"})).await;
    for (key, from, to) in [("a", "user:1", "user:2"), ("b", "user:2", "user:1")] {
        let refused = guild.transfer(key, from, to, 1).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "account_frozen".into())
        );
    }
    let bet = json!({"stake": 1, "side": "heads"});
    let refused = guild.call("coinflip/flip", "c", "user:1", bet).await;
    assert_eq!(refused.code(), "account_frozen");
    guild.put_ok(&account, json!({"status": "open"})).await;
    assert_eq!(guild.transfer("d", "user:1", "user:2", 1).await.status, 201);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_account_can_be_closed() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let account = format!("{GUILD}/accounts/user:1");
    let refused = guild.put(&account, json!({"status": "closed"})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "account_not_empty".into())
    );
    guild
        .transfer("all", "user:1", "user:2", STARTING_BALANCE)
        .await;
    guild.put_ok(&account, json!({"status": "closed"})).await;
    assert_eq!(guild.get(&account).await.json()["status"], "closed");
    assert_eq!(
        guild.transfer("back", "user:2", "user:1", 1).await.code(),
        "account_closed"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_item_is_an_asset_with_a_maximum_supply_of_one() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let story = json!({"forged_by": "user:2", "level": 3});
    let sword = json!({"kind": "item", "name": "Durendal", "max_supply": 1, "metadata": story});
    let path = format!("{GUILD}/assets/item:durendal");
    guild.put_ok(&path, sword).await;
    guild.issue("user:1", "item:durendal", 1).await;
    let body = json!({"account": "user:2", "asset": "item:durendal", "amount": 1});
    assert_eq!(
        guild.post("issue", "twin", body).await.code(),
        "supply_limit"
    );
    assert_eq!(guild.get(&path).await.json()["metadata"], story);
    let cleared = guild.put(&path, json!({"metadata": null})).await.json();
    assert_eq!(cleared.get("metadata"), None);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_returns_the_result_and_stores_nothing() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let before = guild.get(GUILD).await.json();
    let ask = async |guild: &mut crate::support::GuildClient, amount| {
        let body = crate::support::posting("user:1", "user:2", amount).to_string();
        let path = format!("{GUILD}/transfers?preview=true");
        guild
            .client
            .send("POST", &path, None, body.into())
            .await
            .unwrap()
    };
    let preview = ask(&mut guild, 300).await;
    assert_eq!(
        (preview.status.as_u16(), &preview.json()["preview"]),
        (200, &json!(true)),
        "nothing is created"
    );
    assert_eq!(preview.json()["balances"]["user:1"]["coin"], 700);
    assert!(preview.json().get("seq").is_none() && preview.json().get("id").is_none());
    let rejected = ask(&mut guild, 1001).await;
    assert_eq!(
        (rejected.status.as_u16(), rejected.code()),
        (422, "insufficient_funds".into())
    );
    let body = json!({"account": "user:1", "asset": "coin", "amount": 5}).to_string();
    let path = format!("{GUILD}/issue?preview=true");
    let preview = guild
        .client
        .send("POST", &path, None, body.into())
        .await
        .unwrap();
    assert_eq!(preview.json()["balances"]["user:1"]["coin"], 1005);
    assert_eq!(
        guild.get(GUILD).await.json(),
        before,
        "nothing was recorded"
    );
    let wrong = guild.post("transfers?preview=maybe", "k", json!({})).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code()),
        (400, "malformed".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaderboard_ranks_members_only() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1_000_000).await;
    guild.transfer("k", "user:1", "user:3", 10).await;
    let path = format!("{GUILD}/assets/coin/holders");
    let ranked = guild.get(&format!("{path}?limit=2")).await.json();
    let expected = json!([
        {"account": "user:3", "posted": 1010}, {"account": "user:2", "posted": 1000},
    ]);
    assert_eq!(ranked["holders"], expected);
    assert_eq!(
        guild.get(&path).await.json()["holders"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    for wrong in ["limit=0", "limit=1001", "limit=x", "most=1"] {
        assert_eq!(
            guild.get(&format!("{path}?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
    server.close().await;
}

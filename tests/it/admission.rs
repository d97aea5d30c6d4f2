//! Keys that admit members, transfer caps in atomic batches, and the last admin key.

use bursar_server::client::{Client, Response};
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer};

async fn put(bot: &mut Client, account: &str, body: Value) -> Response {
    let path = format!("{GUILD}/accounts/{account}");
    bot.put(&path, &body).await.expect("a response")
}

/// A bot that only calls plugins can open accounts of its members and cannot change accounts otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_admits_opens_accounts_of_its_pattern_only() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let admits = json!({"accounts": "user:*"});
    let body = json!({"scopes": ["call"], "admits": admits});
    let mut bot = guild.create_key(&server, "bot", body).await;
    let opened = put(&mut bot, "user:2", json!({})).await;
    assert_eq!(opened.status, 201, "{}", opened.json());
    let again = put(&mut bot, "user:2", json!({})).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["changed"]),
        (200, &json!(false))
    );

    let named = json!({"metadata": {"name": "Ada"}});
    for (account, body, missing) in [
        ("user:3", named.clone(), "\\\"metadata\\\": true"),
        ("user:2", named.clone(), "the scope `transfer`"),
        ("team:1", json!({}), "the scope `transfer`"),
        (
            "user:3",
            json!({"ceiling": {"coin": 5}}),
            "the scope `admin`",
        ),
        (
            "user:2",
            json!({"credit_limit": {"coin": 5}}),
            "`admin` for limits",
        ),
        (
            "user:2",
            json!({"status": "frozen"}),
            "the scope `transfer`",
        ),
    ] {
        let refused = put(&mut bot, account, body.clone()).await;
        let code = (refused.status.as_u16(), refused.code());
        assert_eq!(code, (403, "not_admitted".into()), "{account} {body}");
        let problem = refused.json();
        assert!(problem["detail"].to_string().contains(missing), "{problem}");
        assert_eq!(
            (&problem["accounts"], &problem["account"]),
            (&json!("user:*"), &json!(account))
        );
    }
    let post =
        json!({"postings": [{"from": "user:1", "to": "user:2", "asset": "coin", "amount": 1}]});
    let moved = bot
        .post(&format!("{GUILD}/transfers"), "k", &post)
        .await
        .unwrap();
    assert_eq!(
        (moved.status.as_u16(), moved.code()),
        (403, "forbidden".into())
    );

    let patch = json!({"admits": {"accounts": "user:*", "metadata": true}});
    let listed = guild.put("/v1/keys/bot", patch).await.json();
    assert_eq!(
        listed["admits"],
        json!({"accounts": "user:*", "metadata": true})
    );
    assert_eq!(put(&mut bot, "user:3", named.clone()).await.status, 201);
    assert_eq!(
        put(&mut bot, "user:3", named).await.json()["changed"],
        false
    );
    guild.put_ok("/v1/keys/bot", json!({"admits": null})).await;
    let without = put(&mut bot, "user:4", json!({})).await;
    assert_eq!(
        (without.status.as_u16(), without.code()),
        (403, "forbidden".into())
    );
    server.close().await;
}

/// `admits` neither adds to nor removes from what other scopes allow.
#[tokio::test(flavor = "multi_thread")]
async fn admits_does_not_change_what_other_scopes_allow() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let admits = json!({"accounts": "user:*"});
    let body = json!({"scopes": ["read"], "admits": admits});
    let mut reader = guild.create_key(&server, "reader", body).await;
    assert_eq!(
        put(&mut reader, "user:2", json!({})).await.code(),
        "forbidden"
    );
    let body = json!({"scopes": ["call", "transfer"], "admits": admits});
    let mut bot = guild.create_key(&server, "bot", body).await;
    let team = put(&mut bot, "team:1", json!({"metadata": {"name": "Red"}})).await;
    assert_eq!(team.status, 201, "{}", team.json());
    let body = json!({"scopes": ["call"], "economies": ["other"], "admits": admits});
    let mut elsewhere = guild.create_key(&server, "elsewhere", body).await;
    let unseen = put(&mut elsewhere, "user:2", json!({})).await;
    assert_eq!(
        (unseen.status.as_u16(), unseen.code()),
        (404, "economy_not_found".into())
    );
    for (admits, pointer) in [
        (json!({"accounts": "*"}), "/admits/accounts"),
        (json!({"accounts": "plugin:*"}), "/admits/accounts"),
        (json!({"metadata": true}), "/admits"),
        (
            json!({"accounts": "user:*", "limits": true}),
            "/admits/limits",
        ),
    ] {
        let body = json!({"scopes": ["call"], "admits": admits});
        let refused = guild.put("/v1/keys/wrong", body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["pointer"]),
            (400, &json!(pointer))
        );
    }
    server.close().await;
}

/// An atomic batch is one request, so the cap applies to the sum of its transfers.
#[tokio::test(flavor = "multi_thread")]
async fn the_transfer_cap_of_a_key_bounds_an_atomic_batch_exactly() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let body = json!({"scopes": ["transfer"], "transfer_cap": {"coin": 20}});
    let mut bot = guild.create_key(&server, "bot", body).await;
    let batch = |amounts: [u64; 2]| {
        let transfers = amounts.map(|amount| {
            let posting =
                json!({"from": "user:1", "to": "user:2", "asset": "coin", "amount": amount});
            json!({"postings": [posting]})
        });
        json!({"mode": "atomic", "transfers": transfers})
    };
    let path = format!("{GUILD}/transfers/batch");
    let beyond = bot.post(&path, "beyond", &batch([10, 11])).await.unwrap();
    assert_eq!(
        (beyond.status.as_u16(), beyond.code()),
        (422, "transfer_cap".into())
    );
    let problem = beyond.json();
    assert_eq!(
        (&problem["index"], &problem["asked"]),
        (&json!(1), &json!(21))
    );
    let at = bot.post(&path, "at", &batch([10, 10])).await.unwrap();
    assert_eq!(at.status, 201, "{}", at.json());
    assert_eq!(guild.coin_balances(2).await, [980, 1020]);
    server.close().await;
}

/// Without an admin key a new one could only be created on the server's machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_key_is_revoked_only_by_force() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let keys = guild.get("/v1/keys").await.json();
    let admin = keys["keys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/keys/{admin}");
    for less in [
        json!({"revoked": true}),
        json!({"scopes": ["read"]}),
        json!({"economies": ["guild"]}),
        json!({"revoked": true, "force": false}),
    ] {
        let refused = guild.put(&path, less.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (409, "last_admin_key".into()),
            "{less}"
        );
        assert_eq!(refused.json()["key"], admin.as_str());
    }
    let second = guild
        .create_key(&server, "second", json!({"scopes": ["admin"]}))
        .await;
    guild.put_ok(&path, json!({"revoked": true})).await;
    let mut guild = GuildClient { client: second };
    let last = guild.put("/v1/keys/second", json!({"revoked": true})).await;
    assert_eq!(last.code(), "last_admin_key");
    guild
        .put_ok("/v1/keys/second", json!({"revoked": true, "force": true}))
        .await;
    assert_eq!(guild.get("/v1/keys").await.status, 401);
    server.close().await;
}

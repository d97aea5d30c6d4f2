//! The look-up and the reversal of transfers. A reversal happens once and is linked in both directions. Only an
//! admin can force one below a floor, and has to give a reason.

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, posting};

async fn reverse(guild: &mut GuildClient, id: &str, key: &str, body: Value) -> Response {
    guild
        .post(&format!("transfers/{id}/reverse"), key, body)
        .await
}

async fn view(guild: &mut GuildClient, id: &str) -> Value {
    let read = guild.get(&format!("{GUILD}/transfers/{id}")).await;
    assert_eq!(read.status, 200, "{}", read.json());
    read.json()
}

fn id(response: &Response) -> String {
    assert!(response.status.is_success(), "{}", response.json());
    let body = response.json();
    let id = body.get("id").or(body.get("call")).unwrap();
    id.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_reversed_once_and_linked_both_ways() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut body = posting("user:1", "user:2", 300);
    body["memo"] = json!("by mistake");
    let created = guild.post("transfers", "pay", body).await;
    let original = id(&created);
    let undone = reverse(&mut guild, &original, "undo", json!({"memo": "sorry"})).await;
    let reversal = id(&undone);
    assert_eq!(undone.status, 201);
    assert_eq!(undone.json()["reverses"], json!(original));
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);

    let seen = view(&mut guild, &original).await;
    assert_eq!(
        (&seen["reversed_by"], &seen["memo"], &seen["kind"]),
        (&json!(reversal), &json!("by mistake"), &json!("transfer"))
    );
    assert_eq!(seen["postings"], created.json()["postings"]);
    assert_eq!(seen["balances"], created.json()["balances"]);
    let back = view(&mut guild, &reversal).await;
    assert_eq!(
        (&back["reverses"], &back["memo"], &back["kind"]),
        (&json!(original), &json!("sorry"), &json!("reversal"))
    );

    let again = reverse(&mut guild, &original, "again", json!({})).await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (409, "already_reversed".into())
    );
    assert_eq!(again.json()["by"], json!(reversal));
    let back = reverse(&mut guild, &reversal, "back", json!({})).await;
    assert_eq!(
        (back.status.as_u16(), back.code()),
        (409, "reversal_final".into())
    );
    let replay = reverse(&mut guild, &original, "undo", json!({"memo": "sorry"})).await;
    assert!(replay.replayed && replay.body == undone.body);
    server.close().await;
}

/// Two admins refund the same purchase at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_concurrent_reversals_of_a_transfer_succeeds() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let original = id(&guild.transfer("pay", "user:1", "user:2", 300).await);
    let ask = |number| {
        let path = format!("transfers/{original}/reverse");
        (path, format!("refund {number}"), json!({}))
    };
    let responses = server.post_concurrently((0..32).map(ask).collect()).await;
    let done = responses
        .iter()
        .filter(|response| response.status == 201)
        .count();
    let refused = responses
        .iter()
        .filter(|response| response.code() == "already_reversed");
    assert_eq!((done, refused.count()), (1, 31));
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_reversal_needs_an_admin_and_a_reason_and_is_listed_by_the_audit() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let original = id(&guild.transfer("scam", "user:1", "user:2", 1000).await);
    guild.transfer("gone", "user:2", "user:3", 1990).await;
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:2"),
            json!({"status": "frozen"}),
        )
        .await;
    let frozen = reverse(&mut guild, &original, "1", json!({})).await;
    assert_eq!(frozen.code(), "account_frozen");
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:2"),
            json!({"status": "open"}),
        )
        .await;
    let poor = reverse(&mut guild, &original, "2", json!({})).await;
    assert_eq!(poor.code(), "insufficient_funds");
    let bot = guild
        .put("/v1/keys/bot", json!({"scopes": ["transfer"]}))
        .await;
    let bot = bot.json()["key"].as_str().unwrap().to_owned();
    let force = json!({"force": true, "reason": "a stolen account"});
    let mut bot = GuildClient {
        client: server.client(&bot),
    };
    assert_eq!(
        reverse(&mut bot, &original, "3", force.clone())
            .await
            .status,
        403
    );
    for (body, pointer) in [
        (json!({"force": true}), "/reason"),
        (json!({"force": true, "reason": " "}), "/reason"),
        (json!({"reason": "because"}), "/reason"),
        (json!({"force": true, "reason": "x".repeat(257)}), "/reason"),
    ] {
        let wrong = reverse(&mut guild, &original, "4", body).await;
        assert_eq!(
            (wrong.status.as_u16(), &wrong.json()["pointer"]),
            (400, &json!(pointer))
        );
    }
    let longest = json!({"force": true, "reason": "x".repeat(256), "memo": "no"});
    let path = format!("transfers/{original}/reverse?preview=true");
    assert_eq!(guild.post(&path, "p", longest).await.status, 200);
    let forced = reverse(&mut guild, &original, "5", force).await;
    assert_eq!(forced.status, 201, "{}", forced.json());
    assert_eq!(guild.coin_balances(3).await, [1000, -990, 2990]);
    // Outside its limits the account can only move back towards them.
    let spent = guild.transfer("more", "user:2", "user:1", 1).await;
    assert_eq!(spent.code(), "insufficient_funds");
    assert_eq!(
        guild.transfer("back", "user:3", "user:2", 10).await.status,
        201
    );
    let report = server.close().await;
    let outside = report.outside.first().expect("the account is listed");
    assert_eq!(
        Some(outside.explained_by_seq),
        forced.json()["seq"].as_u64(),
        "{outside:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_reversed_as_a_whole() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 5).await;
    let bought = guild
        .call("shop/buy", "buy", "user:1", json!({"item": "item:potion"}))
        .await;
    let call = id(&bought);
    let seen = view(&mut guild, &call).await;
    assert_eq!(
        (&seen["kind"], &seen["plugin"]),
        (&json!("call"), &json!("shop"))
    );
    assert_eq!(seen["postings"], bought.json()["transfer"]["postings"]);
    let refunded = reverse(&mut guild, &call, "refund", json!({})).await;
    assert_eq!(refunded.status, 201, "{}", refunded.json());
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    assert_eq!(guild.posted("user:1", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 5);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_can_reverse_an_issue() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let body = json!({"account": "user:1", "asset": "coin", "amount": 7});
    let issued = id(&guild.post("issue", "too much", body).await);
    let bot = guild
        .put("/v1/keys/bot", json!({"scopes": ["transfer", "issue"]}))
        .await;
    let bot = bot.json()["key"].as_str().unwrap().to_owned();
    let mut bot = GuildClient {
        client: server.client(&bot),
    };
    let refused = reverse(&mut bot, &issued, "bot", json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "issuer_account".into())
    );
    assert_eq!(
        reverse(&mut guild, &issued, "admin", json!({}))
            .await
            .status,
        201
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1000);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_found_only_in_its_own_economy() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.put_ok("/v1/economies/other", json!({})).await;
    let original = id(&guild.transfer("pay", "user:1", "user:2", 1).await);
    for (economy, id) in [
        ("guild", "00000000-0000-7000-8000-000000000000"),
        ("other", original.as_str()),
    ] {
        let path = format!("/v1/economies/{economy}/transfers/{id}");
        let read = guild.get(&path).await;
        assert_eq!(
            (read.status.as_u16(), read.code()),
            (404, "transfer_not_found".into())
        );
        let undone = guild
            .client
            .post(&format!("{path}/reverse"), "k", &json!({}))
            .await
            .unwrap();
        assert_eq!(undone.code(), "transfer_not_found");
    }
    let wrong = guild.get(&format!("{GUILD}/transfers/nonsense")).await;
    assert_eq!(wrong.status, 400);
    server.close().await;
}

//! Transfers by their ids, and taken back: once, linked both ways, and never by breaking a floor
//! unless an admin says why.

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, posting};

async fn reverse(guild: &mut Guild, id: &str, key: &str, body: Value) -> Response {
    guild
        .post(&format!("transfers/{id}/reverse"), key, body)
        .await
}

async fn view(guild: &mut Guild, id: &str) -> Value {
    let read = guild.get(&format!("{GUILD}/transfers/{id}")).await;
    assert_eq!(read.status, 200, "{}", read.json());
    read.json()
}

fn id(answer: &Response) -> String {
    assert!(answer.status.is_success(), "{}", answer.json());
    let body = answer.json();
    let id = body.get("id").or(body.get("call")).unwrap();
    id.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_taken_back_once_and_linked_both_ways() {
    let (house, mut guild) = House::with_guild(2).await;
    let mut body = posting("user:1", "user:2", 300);
    body["memo"] = json!("by mistake");
    let made = guild.post("transfers", "pay", body).await;
    let original = id(&made);
    let undone = reverse(&mut guild, &original, "undo", json!({"memo": "sorry"})).await;
    let reversal = id(&undone);
    assert_eq!(undone.status, 201);
    assert_eq!(undone.json()["reverses"], json!(original));
    assert_eq!(guild.coins(2).await, [1000, 1000]);

    let seen = view(&mut guild, &original).await;
    assert_eq!(
        (&seen["reversed_by"], &seen["memo"], &seen["kind"]),
        (&json!(reversal), &json!("by mistake"), &json!("transfer"))
    );
    assert_eq!(seen["postings"], made.json()["postings"]);
    assert_eq!(seen["balances"], made.json()["balances"]);
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
    house.close().await;
}

/// Two admins refund the same purchase at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_refunds_of_one_transfer_at_the_same_moment_exactly_one_happens() {
    let (house, mut guild) = House::with_guild(2).await;
    let original = id(&guild.transfer("pay", "user:1", "user:2", 300).await);
    let ask = |number| {
        let path = format!("transfers/{original}/reverse");
        (path, format!("refund {number}"), json!({}))
    };
    let answers = house.at_once((0..32).map(ask).collect()).await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.code() == "already_reversed");
    assert_eq!((done, refused.count()), (1, 31));
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_gone_is_taken_back_by_an_admin_with_a_reason_and_the_audit_says_so() {
    let (house, mut guild) = House::with_guild(3).await;
    let original = id(&guild.transfer("scam", "user:1", "user:2", 1000).await);
    guild.transfer("gone", "user:2", "user:3", 1990).await;
    guild
        .made(
            &format!("{GUILD}/accounts/user:2"),
            json!({"status": "frozen"}),
        )
        .await;
    let frozen = reverse(&mut guild, &original, "1", json!({})).await;
    assert_eq!(frozen.code(), "account_frozen");
    guild
        .made(
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
    let mut bot = Guild {
        client: house.client(&bot),
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
    assert_eq!(guild.coins(3).await, [1000, -990, 2990]);
    // From outside its limits the account only moves back.
    let spent = guild.transfer("more", "user:2", "user:1", 1).await;
    assert_eq!(spent.code(), "insufficient_funds");
    assert_eq!(
        guild.transfer("back", "user:3", "user:2", 10).await.status,
        201
    );
    let report = house.close().await;
    let outside = report.outside.first().expect("the account is listed");
    assert_eq!(
        Some(outside.explained_by_seq),
        forced.json()["seq"].as_u64(),
        "{outside:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_has_moved_is_taken_back_as_a_whole() {
    let (house, mut guild) = House::with_guild(1).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_issued_or_taken_by_a_plugin_is_an_admins_to_take_back() {
    let (house, mut guild) = House::with_guild(1).await;
    let body = json!({"account": "user:1", "asset": "coin", "amount": 7});
    let issued = id(&guild.post("issue", "too much", body).await);
    let bot = guild
        .put("/v1/keys/bot", json!({"scopes": ["transfer", "issue"]}))
        .await;
    let bot = bot.json()["key"].as_str().unwrap().to_owned();
    let mut bot = Guild {
        client: house.client(&bot),
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_never_was_is_not_found_in_any_economy_but_its_own() {
    let (house, mut guild) = House::with_guild(2).await;
    guild.made("/v1/economies/other", json!({})).await;
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
    house.close().await;
}

//! Many transfers in one request: each with its own key, its own fate and its own answer.

use serde_json::{Value, json};

use crate::support::{House, posting};

fn item(key: &str, from: &str, to: &str, amount: u64) -> Value {
    let mut item = posting(from, to, amount);
    item["idempotency_key"] = json!(key);
    item
}

fn batch(items: &[Value]) -> Value {
    json!({ "mode": "independent", "transfers": items })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transfer_of_a_batch_has_its_own_fate_in_order() {
    let (house, mut guild) = House::with_guild(3).await;
    let items = vec![
        item("a", "user:1", "user:2", 1000),
        item("b", "user:1", "user:2", 1),
        item("c", "user:2", "user:3", 2000),
        item("d", "user:1", "user:404", 1),
        item("a", "user:1", "user:2", 1000),
        item("a", "user:1", "user:2", 999),
    ];
    let made = guild
        .post("transfers/batch", "ignored", batch(&items))
        .await;
    assert_eq!(made.status, 200, "{}", made.json());
    let results = made.json()["results"].as_array().unwrap().clone();
    let codes: Vec<&str> = results
        .iter()
        .map(|result| result["body"]["code"].as_str().unwrap_or(""))
        .collect();
    let expected = [
        "",
        "insufficient_funds",
        "",
        "account_not_found",
        "",
        "idempotency_key_reused",
    ];
    assert_eq!(codes, expected);
    assert_eq!(results[4]["replayed"], true);
    assert_eq!(
        results[4]["body"], results[0]["body"],
        "a key twice in one batch is a replay"
    );
    assert_eq!(guild.coins(3).await, [0, 0, 3000]);

    // The same once more, and one of them singly: nothing moves again.
    let again = guild
        .post("transfers/batch", "ignored", batch(&items))
        .await
        .json();
    assert_eq!(again["results"][2]["body"], results[2]["body"]);
    assert_eq!(
        again["results"][1]["replayed"], true,
        "a refusal is kept as well"
    );
    let single = guild.transfer("c", "user:2", "user:3", 2000).await;
    assert!(single.replayed && single.json() == results[2]["body"]);
    assert_eq!(guild.coins(3).await, [0, 0, 3000]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_malformed_transfer_runs_none() {
    let (house, mut guild) = House::with_guild(2).await;
    let good = || item("a", "user:1", "user:2", 1);
    let mut memo = item("b", "user:1", "user:2", 1);
    memo["memo"] = json!("x".repeat(257));
    let mut key = item("", "user:1", "user:2", 1);
    let wrong = [
        (batch(&[good(), memo]), "/transfers/1/memo"),
        (
            batch(&[good(), key.clone()]),
            "/transfers/1/idempotency_key",
        ),
        (batch(&[]), "/transfers"),
        (json!({"mode": "sideways", "transfers": [good()]}), "/mode"),
    ];
    for (body, pointer) in wrong {
        let refused = guild.post("transfers/batch", "k", body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
        assert_eq!(refused.json()["pointer"], pointer);
    }
    key["amount"] = json!(1);
    let unknown = guild
        .post("transfers/batch", "k", batch(&[good(), key]))
        .await;
    assert_eq!(
        unknown.status, 400,
        "members that are not known are refused"
    );
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_ends_at_8192_transfers() {
    let (house, mut guild) = House::with_guild(2).await;
    let items = |count: usize| {
        let item = |number| item(&format!("k{number}"), "user:1", "user:2", 1);
        batch(&(0..count).map(item).collect::<Vec<_>>())
    };
    let refused = guild.post("transfers/batch", "k", items(8193)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["pointer"]),
        (400, &json!("/transfers"))
    );
    guild.issue("user:1", "coin", 10_000).await;
    let made = guild.post("transfers/batch", "k", items(8192)).await.json();
    let results = made["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"] == 201));
    assert_eq!(guild.coins(2).await, [2808, 9192]);
    house.close().await;
}

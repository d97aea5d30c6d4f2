//! Many transfers in one request: each with its own key and response, or all as one.

use serde_json::{Value, json};

use crate::support::{TestServer, posting};

fn item(key: &str, from: &str, to: &str, amount: u64) -> Value {
    let mut item = posting(from, to, amount);
    item["idempotency_key"] = json!(key);
    item
}

fn batch(items: &[Value]) -> Value {
    json!({ "mode": "independent", "transfers": items })
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_of_an_independent_batch_succeed_or_fail_separately_in_order() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let items = vec![
        item("a", "user:1", "user:2", 1000),
        item("b", "user:1", "user:2", 1),
        item("c", "user:2", "user:3", 2000),
        item("d", "user:1", "user:404", 1),
        item("a", "user:1", "user:2", 1000),
        item("a", "user:1", "user:2", 999),
    ];
    let created = guild
        .post("transfers/batch", "ignored", batch(&items))
        .await;
    assert_eq!(created.status, 200, "{}", created.json());
    let results = created.json()["results"].as_array().unwrap().clone();
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
    assert_eq!(guild.coin_balances(3).await, [0, 0, 3000]);

    // A repetition of the batch, and of one transfer alone, moves nothing.
    let again = guild
        .post("transfers/batch", "ignored", batch(&items))
        .await
        .json();
    assert_eq!(again["results"][2]["body"], results[2]["body"]);
    assert_eq!(
        again["results"][1]["replayed"], true,
        "a rejection is stored as well"
    );
    let single = guild.transfer("c", "user:2", "user:3", 2000).await;
    assert!(single.replayed && single.json() == results[2]["body"]);
    assert_eq!(guild.coin_balances(3).await, [0, 0, 3000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_malformed_transfer_runs_none() {
    let (server, mut guild) = TestServer::with_guild(2).await;
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
        (
            batch(&[posting("user:1", "user:2", 1)]),
            "/transfers/0/idempotency_key",
        ),
        (
            json!({"mode": "atomic", "transfers": [good()]}),
            "/transfers/0/idempotency_key",
        ),
        (json!({"mode": "atomic", "transfers": []}), "/transfers"),
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
    assert_eq!(unknown.status, 400, "unknown members are refused");
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_at_most_8192_transfers() {
    let (server, mut guild) = TestServer::with_guild(2).await;
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
    let created = guild.post("transfers/batch", "k", items(8192)).await.json();
    let results = created["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"] == 201));
    assert_eq!(guild.coin_balances(2).await, [2808, 9192]);
    server.close().await;
}

fn atomic(items: &[Value]) -> Value {
    json!({ "mode": "atomic", "transfers": items })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_is_applied_as_a_whole_under_one_key() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let mut first = posting("user:1", "user:2", 1000);
    first["memo"] = json!("first");
    let mut second = posting("user:2", "user:3", 2000);
    second["reference"] = json!("order-2");
    let items = [first, second];
    let created = guild.post("transfers/batch", "all", atomic(&items)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let transfers = created.json()["transfers"].as_array().unwrap().clone();
    assert_eq!(transfers.len(), 2);
    assert_eq!(transfers[0]["balances"]["user:2"]["coin"], 2000);
    assert_eq!(transfers[1]["balances"]["user:2"]["coin"], 0);
    let again = guild.post("transfers/batch", "all", atomic(&items)).await;
    assert!(again.replayed && again.body == created.body);
    assert_eq!(guild.coin_balances(3).await, [0, 0, 3000]);

    // Each transfer has its own id and texts and can be reversed separately.
    let id = transfers[1]["id"].as_str().unwrap();
    let path = format!("{}/transfers/{id}", crate::support::GUILD);
    let seen = guild.get(&path).await.json();
    assert_eq!(seen["reference"], "order-2");
    assert_eq!(seen["postings"], transfers[1]["postings"]);
    let statement = format!(
        "{}/accounts/user:2/statement?reference=order-2",
        crate::support::GUILD
    );
    let entries = guild.get(&statement).await.json();
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
    assert_eq!(entries["entries"][0]["transfer"], json!(id));
    let back = guild
        .post(&format!("transfers/{id}/reverse"), "back", json!({}))
        .await;
    assert_eq!(back.status, 201, "{}", back.json());
    assert_eq!(guild.coin_balances(3).await, [0, 2000, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_atomic_batch_names_the_first_failing_transfer_and_moves_nothing() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let items = [
        posting("user:1", "user:2", 600),
        posting("user:1", "user:2", 401),
        posting("user:1", "user:404", 1),
    ];
    let refused = guild.post("transfers/batch", "all", atomic(&items)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "insufficient_funds".into())
    );
    assert_eq!(
        (&refused.json()["index"], &refused.json()["available"]),
        (&json!(1), &json!(400))
    );
    guild.issue("user:1", "coin", 999).await;
    let again = guild.post("transfers/batch", "all", atomic(&items)).await;
    assert!(again.replayed, "the rejection is stored under the key");
    assert_eq!(guild.coin_balances(2).await, [1999, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_has_at_most_8192_transfers() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.issue("user:1", "coin", 10_000).await;
    let items = |count: usize| atomic(&vec![posting("user:1", "user:2", 1); count]);
    let refused = guild.post("transfers/batch", "k", items(8193)).await;
    assert_eq!(refused.status, 400);
    let created = guild.post("transfers/batch", "k", items(8192)).await;
    assert_eq!(created.status, 201);
    assert_eq!(guild.coin_balances(2).await, [2808, 9192]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_a_batch_shows_each_transfer_after_those_before_it() {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let items = [
        item("a", "user:1", "user:2", 1000),
        item("b", "user:2", "user:3", 2000),
        item("c", "user:1", "user:2", 1),
    ];
    let path = "transfers/batch?preview=true";
    let preview = guild.post(path, "k", batch(&items)).await.json();
    let results = preview["results"].as_array().unwrap();
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [200, 200, 422]);
    assert_eq!(results[1]["body"]["balances"]["user:3"]["coin"], 3000);
    let items = [
        posting("user:1", "user:2", 1000),
        posting("user:1", "user:2", 1),
    ];
    let preview = guild.post(path, "k", atomic(&items[..1])).await;
    assert_eq!(
        (preview.status.as_u16(), &preview.json()["preview"]),
        (200, &json!(true))
    );
    let preview = guild.post(path, "k", atomic(&items)).await;
    assert_eq!(
        (preview.code(), &preview.json()["index"]),
        ("insufficient_funds".into(), &json!(1))
    );
    assert_eq!(guild.coin_balances(3).await, [1000, 1000, 1000]);
    server.close().await;
}

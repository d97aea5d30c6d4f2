//! Malformed requests are refused before anything else, with the place named, and nothing is stored.

use serde_json::{Value, json};

use crate::support::{GUILD, TestServer, posting};

/// Returns a transfer whose one posting has another value in one member.
fn with(member: &str, value: Value) -> Value {
    let mut body = posting("user:1", "user:2", 1);
    body["postings"][0][member] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_member_is_named_by_a_pointer() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut extra = posting("user:1", "user:2", 1);
    extra["tip"] = json!(1);
    let wrong = [
        (with("amount", json!(0)), "/postings/0/amount"),
        (with("amount", json!(-5)), "/postings/0/amount"),
        (with("amount", json!(1.5)), "/postings/0/amount"),
        (
            with("amount", json!(9_007_199_254_740_992_u64)),
            "/postings/0/amount",
        ),
        (with("amount", json!("5")), "/postings/0/amount"),
        (with("from", json!("User:1")), "/postings/0/from"),
        (with("asset", json!(7)), "/postings/0/asset"),
        (with("fee", json!(1)), "/postings/0/fee"),
        (with("to", json!("user:1")), "/postings"),
        (json!({"postings": []}), "/postings"),
        (
            json!({"postings": vec![posting("user:1", "user:2", 1)["postings"][0].clone(); 65]}),
            "/postings",
        ),
        (extra, "/tip"),
        (
            json!({"postings": posting("user:1", "user:2", 1)["postings"], "memo": "x".repeat(257)}),
            "/memo",
        ),
        (json!([]), ""),
        // An array of the values of an object's members is not an object.
        (
            json!([posting("user:1", "user:2", 1)["postings"], null, null, null]),
            "",
        ),
        (
            json!({"postings": [["user:1", "user:2", "coin", 1]]}),
            "/postings/0",
        ),
    ];
    for (body, pointer) in wrong {
        let refused = guild.post("transfers", "key", body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into()),
            "{body}"
        );
        assert_eq!(refused.json()["pointer"], pointer, "{body}");
    }
    // Nothing was stored: the key is still unused.
    assert_eq!(
        guild.transfer("key", "user:1", "user:2", 1).await.status,
        201
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_amount_and_64_postings_are_read() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let most = guild
        .transfer("most", "user:1", "user:2", 9_007_199_254_740_991)
        .await;
    assert_eq!(most.code(), "insufficient_funds");
    let one = posting("user:1", "user:2", 1)["postings"][0].clone();
    let many = guild
        .post("transfers", "many", json!({"postings": vec![one; 64]}))
        .await;
    assert_eq!(many.status, 201);
    server.close().await;
}

/// Returns arrays nested to this many levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_bounded_in_depth_and_read_back_after_a_restart() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let account = format!("{GUILD}/accounts/user:1");
    let with_metadata = |levels: usize| {
        let mut body = posting("user:1", "user:2", 1);
        body["metadata"] = json!({ "nested": nested(levels - 1) });
        body
    };
    let deep = json!({ "metadata": { "nested": nested(32) } });
    let too_deep = guild.put(&account, deep).await;
    assert_eq!(
        (too_deep.status.as_u16(), &too_deep.json()["pointer"]),
        (400, &json!("/metadata"))
    );
    let too_deep = guild.post("transfers", "k", with_metadata(33)).await;
    assert_eq!(
        (too_deep.status.as_u16(), &too_deep.json()["pointer"]),
        (400, &json!("/metadata"))
    );
    guild
        .put_ok(&account, json!({ "metadata": { "nested": nested(31) } }))
        .await;
    assert_eq!(
        guild.post("transfers", "k", with_metadata(32)).await.status,
        201
    );
    let before = guild.get(&account).await.json();
    let server = server.restart().await;
    assert_eq!(server.admin().get(&account).await.unwrap().json(), before);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_and_idempotency_keys_are_refused() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let path = format!("{GUILD}/transfers");
    let body = posting("user:1", "user:2", 1).to_string();
    let ask = async |key: Option<&str>, body: String| {
        let mut client = server.admin();
        client
            .send("POST", &path, key, body.into())
            .await
            .expect("a response")
    };
    assert_eq!(
        ask(None, body.clone()).await.code(),
        "idempotency_key_missing"
    );
    let long = "k".repeat(129);
    assert_eq!(
        ask(Some(&long), body.clone()).await.code(),
        "idempotency_key_malformed"
    );
    for wrong in [
        "",
        "{",
        "nonsense",
        "{\"postings\": [}",
        &format!("{body} {body}"),
    ] {
        let refused = ask(Some("k"), wrong.into()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into()),
            "{wrong}"
        );
    }
    let deep = format!("{{\"metadata\": {}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(ask(Some("k"), deep).await.status, 400);
    let large = format!("{{\"memo\": \"{}\"}}", "x".repeat(64 * 1024));
    let refused = ask(Some("k"), large).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (413, "too_large".into())
    );
    // With and without quotes it is the same key.
    assert_eq!(ask(Some("k"), body.clone()).await.status, 201);
    assert!(ask(Some("\"k\""), body).await.replayed);
    assert_eq!(guild.coin_balances(2).await, [999, 1001]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_in_the_path_are_404_and_in_the_body_422() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let unknown = guild.transfer("a", "user:1", "user:404", 1).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (422, "account_not_found".into())
    );
    assert_eq!(unknown.json()["account"], "user:404");
    let replay = guild.transfer("a", "user:1", "user:404", 1).await;
    assert!(
        replay.replayed && replay.body == unknown.body,
        "a rejection is stored as well"
    );
    let paths = [
        (
            format!("{GUILD}/accounts/user:404"),
            404,
            "account_not_found",
        ),
        (format!("{GUILD}/assets/gem"), 404, "asset_not_found"),
        (format!("{GUILD}/plugins/none"), 404, "plugin_not_found"),
        (format!("{GUILD}/outcomes/none"), 404, "outcome_not_found"),
        ("/v1/economies/none".into(), 404, "economy_not_found"),
        ("/v1/nothing".into(), 404, "route_not_found"),
        ("/v1/economies/%FF".into(), 400, "malformed"),
        (format!("{GUILD}/accounts/USER"), 400, "malformed"),
        (format!("{GUILD}/transfers"), 405, "method_not_allowed"),
    ];
    for (path, status, code) in paths {
        let response = guild.get(&path).await;
        assert_eq!(
            (response.status.as_u16(), response.code()),
            (status, code.into()),
            "{path}"
        );
    }
    let digest = "0".repeat(64);
    let unknown = guild
        .put(
            &format!("{GUILD}/plugins/shop"),
            json!({"component": digest}),
        )
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (422, "component_not_found".into())
    );
    // A query parameter that would have no effect is refused.
    let put = guild
        .put(&format!("{GUILD}/accounts/user:1?preview=true"), json!({}))
        .await;
    assert_eq!((put.status.as_u16(), put.code()), (400, "malformed".into()));
    let body = json!({"mode": "independent", "transfers": []});
    assert_eq!(
        guild
            .post("transfers/batch?preview=true", "k", body)
            .await
            .code(),
        "malformed"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_never_accepted_for_an_object() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let bodies = [
        ("accounts/user:1", json!([null, 100]), ""),
        ("assets/gem", json!(["item", "Gem"]), ""),
        ("plugins/shop", json!(["bundled:shop"]), ""),
        ("webhooks/hook", json!(["https://receiver.invalid/"]), ""),
        (
            "plugins/shop",
            json!({"component": "bundled:shop", "grants": []}),
            "/grants",
        ),
    ];
    for (path, body, pointer) in bodies {
        let refused = guild.put(&format!("{GUILD}/{path}"), body.clone()).await;
        assert_eq!(refused.code(), "malformed", "{path} {body}");
        assert_eq!(refused.json()["pointer"], pointer, "{path} {body}");
    }
    // Optional bodies and nested objects refuse arrays as well.
    let refused = guild.put(GUILD, json!(["closed"])).await;
    assert_eq!(refused.code(), "malformed");
    let limited = json!({"scopes": ["read"], "rate_limit": [60, 60]});
    let refused = guild.put("/v1/keys/limited", limited).await;
    assert_eq!(refused.json()["pointer"], "/rate_limit");
    for (path, body) in [
        ("holds", json!(["user:1", "user:2", "coin", 1, 60])),
        (
            "transfers/0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f/reverse",
            json!([false]),
        ),
    ] {
        assert_eq!(
            guild.post(path, "list", body).await.code(),
            "malformed",
            "{path}"
        );
    }
    let item = json!(["key", [{"from": "user:1", "to": "user:2", "asset": "coin", "amount": 1}]]);
    let batch = json!({"mode": "independent", "transfers": [item]});
    let refused = guild.post("transfers/batch", "", batch).await;
    assert_eq!(refused.json()["pointer"], "/transfers/0");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_a_query_are_at_most_2_to_the_53_minus_1() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let most = (1_u64 << 53) - 1;
    for parameter in [
        "events?after",
        "accounts/user:1/statement?before",
        "accounts/user:1/statement?after",
    ] {
        let at = guild.get(&format!("{GUILD}/{parameter}={most}")).await;
        assert_ne!(at.code(), "malformed", "{parameter}");
        let beyond = guild
            .get(&format!("{GUILD}/{parameter}={}", most + 1))
            .await;
        assert_eq!(beyond.code(), "malformed", "{parameter}");
    }
    let past = format!("{GUILD}/accounts/user:1/balances?at={}", most + 1);
    assert_eq!(guild.get(&past).await.json()["parameter"], "at");
    server.close().await;
}

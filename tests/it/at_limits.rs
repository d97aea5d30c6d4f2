//! Bounds of requests over HTTP, each tested at the bound and one beyond, on one server.

use bursar_ledger::{
    CONFIG_BYTES_MAX, DOCUMENT_BYTES_MAX, POSTINGS_MAX, ROLE_BYTES_MAX, ROLES_MAX,
};
use bursar_server::client::Response;
use bursar_server::webhooks::WebhookSetup;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::{GUILD, GuildClient, TestServer, posting};

/// Returns a document of this many bytes.
fn document(bytes: usize) -> Value {
    let document = json!({ "text": "x".repeat(bytes - 11) });
    assert_eq!(document.to_string().len(), bytes);
    document
}

/// Returns a transfer with one further member.
fn transfer(member: &str, value: Value) -> Value {
    let mut body = posting("user:1", "user:2", 1);
    body[member] = value;
    body
}

fn assert_malformed(response: &Response, place: &str) {
    assert_eq!(response.status, 400, "{place}: {}", response.json());
    assert_eq!(response.code(), "malformed", "{place}");
}

/// A function that returns a value of a given number of characters, bytes or parts.
type OfSize<'a> = &'a dyn Fn(usize) -> Value;

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_documents_of_transfers_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let members: [(&str, OfSize<'_>, usize); 4] = [
        ("memo", &|length| json!("é".repeat(length)), 256),
        ("reference", &|length| json!("r".repeat(length)), 128),
        ("metadata", &document, 4096),
        (
            "postings",
            &|count| vec![posting("user:1", "user:2", 1)["postings"][0].clone(); count].into(),
            POSTINGS_MAX,
        ),
    ];
    for (member, value, most) in members {
        let at = guild
            .post("transfers", member, transfer(member, value(most)))
            .await;
        assert_eq!(at.status, 201, "{member}: {}", at.json());
        let key = format!("{member} beyond");
        let beyond = guild
            .post("transfers", &key, transfer(member, value(most + 1)))
            .await;
        assert_malformed(&beyond, member);
        assert_eq!(beyond.json()["pointer"], format!("/{member}"));
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_assets_and_accounts_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let asset = |member: &str, value: Value| {
        let mut body = json!({ "kind": "item", "name": "Gem" });
        body[member] = value;
        body
    };
    let mut puts: Vec<(String, &str, Value, Value)> = Vec::new();
    let path = |member: &str| format!("{GUILD}/assets/with-{member}");
    for (member, most) in [("name", 64), ("symbol", 16)] {
        let of = |length: usize| asset(member, json!("é".repeat(length)));
        puts.push((path(member), member, of(most), of(most + 1)));
    }
    let of = |decimals: u8| asset("decimals", json!(decimals));
    puts.push((path("decimals"), "decimals", of(15), of(16)));
    let of = |bytes| asset("metadata", document(bytes));
    let at = of(DOCUMENT_BYTES_MAX);
    let beyond = of(DOCUMENT_BYTES_MAX + 1);
    puts.push((path("metadata"), "metadata", at, beyond));
    let of = |bytes| json!({ "metadata": document(bytes) });
    let at = of(DOCUMENT_BYTES_MAX);
    let beyond = of(DOCUMENT_BYTES_MAX + 1);
    let account = format!("{GUILD}/accounts/user:1");
    puts.push((account, "metadata", at, beyond));
    for (path, member, at, beyond) in puts {
        guild.put_ok(&path, at).await;
        let refused = guild.put(&path, beyond).await;
        assert_malformed(&refused, &path);
        assert_eq!(refused.json()["pointer"], format!("/{member}"));
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_sizes_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    for (path, most) in [
        ("assets/coin/holders?limit", 1_000),
        ("assets/coin/flows?days", 366),
        ("seeds?limit", 200),
        ("plugins/coinflip/revisions?limit", 20),
        ("holds?limit", 200),
        ("accounts/user:1/statement?limit", 200),
        ("events?limit", 500),
    ] {
        let at = guild.get(&format!("{GUILD}/{path}={most}")).await;
        assert_eq!(at.status, 200, "{path}: {}", at.json());
        for wrong in [0, most + 1] {
            let refused = guild.get(&format!("{GUILD}/{path}={wrong}")).await;
            assert_malformed(&refused, path);
        }
    }
    server.close().await;
}

/// Returns a body of this many bytes: trailing spaces change nothing.
fn padded(body: &Value, bytes: usize) -> String {
    let body = body.to_string();
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

async fn post(guild: &mut GuildClient, path: &str, key: Option<&str>, body: String) -> Response {
    let path = format!("{GUILD}/{path}");
    let sent = guild.client.send("POST", &path, key, body.into()).await;
    sent.expect("a response")
}

#[tokio::test(flavor = "multi_thread")]
async fn request_bodies_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let one = posting("user:1", "user:2", 1);
    let mut item = one.clone();
    item["idempotency_key"] = json!("one of a batch");
    let batch = json!({ "mode": "independent", "transfers": [item] });
    for (path, key, body, most) in [
        ("transfers", Some("one"), one, 64 << 10),
        ("transfers/batch", None, batch, 8 << 20),
    ] {
        let at = post(&mut guild, path, key, padded(&body, most)).await;
        assert!(at.status.is_success(), "{path}: {}", at.json());
        let beyond = post(&mut guild, path, key, padded(&body, most + 1)).await;
        assert_eq!(
            (beyond.status.as_u16(), beyond.code()),
            (413, "too_large".into())
        );
        // The server closes a connection whose body it did not read.
        guild.client = server.admin();
    }
    assert_eq!(guild.coin_balances(2).await, [998, 1002]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_and_their_requests_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = |bytes: usize| {
        let with = |role: &str| {
            let terms = json!({ "role": role });
            json!({ "items": [{ "item": "item:a", "price": { "coin": 1 }, "terms": terms }] })
        };
        let config = with(&"r".repeat(bytes - with("").to_string().len()));
        assert_eq!(config.to_string().len(), bytes);
        config
    };
    let item = json!({ "kind": "item", "name": "A" });
    guild.put_ok(&format!("{GUILD}/assets/item:a"), item).await;
    let path = format!("{GUILD}/plugins/shop");
    let body = json!({ "component": "bundled:shop", "config": config(CONFIG_BYTES_MAX) });
    guild.put_ok(&path, body).await;
    let beyond = json!({ "config": config(CONFIG_BYTES_MAX + 1) });
    let refused = guild.put(&path, beyond).await;
    assert_eq!(refused.code(), "configuration_refused");
    let message = format!("this has at most {CONFIG_BYTES_MAX} bytes as JSON");
    assert_eq!(refused.json()["findings"][0]["message"], message);
    // After a restart the configuration is read from the file and equals what was sent.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let shop = guild.get(&path).await.json();
    assert_eq!(shop["config"], config(CONFIG_BYTES_MAX));
    let body = json!({ "enabled": false });
    for (bytes, status) in [(192 << 10, 200), ((192 << 10) + 1, 413)] {
        let body = padded(&body, bytes);
        let sent = guild.client.send("PUT", &path, None, body.into()).await;
        assert_eq!(sent.expect("a response").status, status);
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_a_call_are_bounded_exactly() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let call = |roles: Vec<String>| json!({ "caller": "user:1", "arguments": {}, "roles": roles });
    let named = |bytes: usize| vec!["r".repeat(bytes)];
    let many = |count: usize| (0..count).map(|number| format!("role {number}")).collect();
    let config = json!({ "asset": "coin" });
    guild.install("coinflip", "bundled:coinflip", config).await;
    let path = "plugins/coinflip/actions/none";
    for (at, beyond) in [
        (named(ROLE_BYTES_MAX), named(ROLE_BYTES_MAX + 1)),
        (named(1), named(0)),
        (many(ROLES_MAX), many(ROLES_MAX + 1)),
    ] {
        // A well-formed call reaches the lookup of the action, which does not exist.
        let at = guild.post(path, "at", call(at)).await;
        assert_eq!(at.code(), "action_not_found");
        assert_malformed(&guild.post(path, "beyond", call(beyond)).await, path);
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_has_at_most_sixteen_webhooks() {
    let server = TestServer::with_setup(|setup| setup.webhooks = WebhookSetup::silent()).await;
    let (server, mut guild) = server.with_members(1).await;
    let path = |number: usize| format!("{GUILD}/webhooks/hook-{number}");
    let url = json!({ "url": "https://receiver.invalid/" });
    for number in 0..16 {
        guild.put_ok(&path(number), url.clone()).await;
    }
    let full = guild.put(&path(16), url.clone()).await;
    assert_eq!(full.code(), "quota_reached", "{}", full.json());
    // An existing webhook can still be changed.
    guild.put_ok(&path(0), url).await;
    server.close().await;
}

/// Sends a request with a head of this many bytes and returns the status line.
async fn with_head(server: &TestServer, bytes: usize) -> String {
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let begin = "GET /healthz HTTP/1.1\r\nHost: bursar\r\nConnection: close\r\nX: ";
    let head = format!("{begin}{}\r\n\r\n", "x".repeat(bytes - begin.len() - 4));
    // The server may close the connection before it has read everything.
    drop(connection.write_all(head.as_bytes()).await);
    let mut lines = BufReader::new(connection).lines();
    lines.next_line().await.unwrap().unwrap_or_default()
}

/// Without this bound a connection could hold 400 KiB, and any client can open thousands.
#[tokio::test(flavor = "multi_thread")]
async fn request_heads_are_bounded() {
    let server = TestServer::new().await;
    let most = 32 << 10;
    assert!(with_head(&server, most).await.contains("200"));
    // hyper checks the bound between two reads, so one byte beyond is not enough.
    assert!(with_head(&server, 2 * most).await.contains("431"));
    server.close().await;
}

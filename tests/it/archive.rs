//! Backups, known heads, export and import of an economy, as an operator uses them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use bursar_server::client::{Address, Client};
use bursar_storage::HEADS_MAX;
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, TestServer, assert_audit_passes, posting};
use crate::wait::eventually;

pub(crate) fn bursar(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

pub(crate) fn bursar_with_input(arguments: &[&str], input: &Path) -> Output {
    let input = std::fs::File::open(input).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::from(input));
    command.output().unwrap()
}

pub(crate) fn stdout_of(output: &Output) -> String {
    let out = &output.stdout;
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8(out.clone()).unwrap()
}

pub(crate) fn stderr_of(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_checks_heads_that_were_seen_before() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let events = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let hash = events["events"][2]["hash"].as_str().unwrap().to_owned();
    let newest = events["head"]["hash"].as_str().unwrap().to_owned();
    for path in ["/v1/audit", &format!("{GUILD}/audit")] {
        let found = guild
            .get(&format!("{path}?head={hash}&head=guild:{newest}"))
            .await
            .json();
        assert_eq!(found["ok"], true, "{found}");
        let seqs: Vec<_> = found["heads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["seq"].clone())
            .collect();
        assert!(seqs.contains(&json!(3)), "{seqs:?}");
        let unknown = "0".repeat(64);
        let missing = guild.get(&format!("{path}?head={unknown}")).await.json();
        assert_eq!(missing["ok"], false, "{missing}");
        assert!(
            missing["promises"][9]["findings"][0]
                .as_str()
                .unwrap()
                .contains(&unknown)
        );
        for wrong in ["head=abc", "heads=1", &format!("head=Guild:{newest}")] {
            let refused = guild.get(&format!("{path}?{wrong}")).await;
            assert_eq!(
                (refused.status.as_u16(), &*refused.code()),
                (400, "malformed"),
                "{wrong}"
            );
        }
    }
    let other = guild
        .get(&format!("{GUILD}/audit?head=other:{newest}"))
        .await;
    assert_eq!(other.status, 400);
    let many = |count: usize| {
        format!(
            "/v1/audit?{}",
            vec![format!("head={newest}"); count].join("&")
        )
    };
    assert_eq!(guild.get(&many(HEADS_MAX)).await.status, 200);
    assert_eq!(guild.get(&many(HEADS_MAX + 1)).await.status, 400);

    // The command sends the request to the serving process, and reads the file itself if it is not served.
    let file = server.file();
    let head = format!("guild:{newest}");
    let shown = stdout_of(&bursar(&[
        "audit",
        text(&file),
        "--head",
        &head,
        "--head",
        &hash,
    ]));
    assert!(shown.contains("is guild: record 3"), "{shown}");
    let cut = bursar(&["audit", text(&file), "--head", &"0".repeat(64)]);
    assert!(!cut.status.success());
    assert!(
        stderr_of(&bursar(&["audit", text(&file), "--head", "guild"])).contains("ECONOMY:HASH")
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_served_file_can_replace_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let copy = folder.path().join("copy.db");
    let mut server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    create_economy(&mut client).await;

    // An API key may not choose a path on the server's disk.
    let body = json!({ "path": copy }).to_string();
    let refused = client
        .send("POST", "/v1/backup", None, body.into())
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), &*refused.code()),
        (403, "forbidden")
    );
    assert!(!copy.exists());

    let shown = stdout_of(&bursar(&["backup", text(&file), text(&copy)]));
    assert!(
        shown.contains("every promise holds") && shown.contains("guild:"),
        "{shown}"
    );
    let again = stderr_of(&bursar(&["backup", text(&file), text(&copy)]));
    assert!(again.contains("is not overwritten"), "{again}");
    let quick = folder.path().join("quick.db");
    assert!(
        stdout_of(&bursar(&["backup", text(&file), text(&quick), "--quick"]))
            .contains("every record fits")
    );

    // The original is lost; a server is started on the copy.
    pay(&mut client, "lost", 1).await;
    server.kill();
    let server = ServerProcess::serve(&copy);
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    let account = client
        .get(&format!("{GUILD}/accounts/user:2"))
        .await
        .unwrap()
        .json();
    assert_eq!(account["balances"]["coin"]["posted"], 30);
    let replayed = pay(&mut client, "pay", 30).await;
    assert!(replayed.replayed);
    assert!(server.stop());
    for file in [&file, &copy, &quick] {
        assert_audit_passes(file);
    }
    // A file that is not served is copied by the command itself.
    let third = folder.path().join("third.db");
    stdout_of(&bursar(&["backup", text(&copy), text(&third)]));
    assert_audit_passes(&third);
    let none = folder.path().join("none.db");
    assert!(
        stderr_of(&bursar(&["backup", text(&none), text(&third)])).contains("name a database file")
    );
}

pub(crate) async fn create_economy(client: &mut Client) {
    for (path, body) in [
        ("", json!({})),
        (
            "/assets/coin",
            json!({ "kind": "currency", "name": "Coin" }),
        ),
        ("/accounts/user:1", json!({})),
        ("/accounts/user:2", json!({})),
    ] {
        assert_eq!(
            client
                .put(&format!("{GUILD}{path}"), &body)
                .await
                .unwrap()
                .status,
            201
        );
    }
    let body = json!({ "account": "user:1", "asset": "coin", "amount": 100 });
    assert_eq!(
        client
            .post(&format!("{GUILD}/issue"), "issue", &body)
            .await
            .unwrap()
            .status,
        201
    );
    assert_eq!(pay(client, "pay", 30).await.status, 201);
}

async fn pay(client: &mut Client, key: &str, amount: u64) -> bursar_server::client::Response {
    let body = posting("user:1", "user:2", amount);
    client
        .post(&format!("{GUILD}/transfers"), key, &body)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_moves_to_another_file_with_its_plugins() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let config = json!({ "items": [{ "item": "item:potion", "price": { "coin": 50 } }] });
    let item = json!({ "kind": "item", "name": "Potion" });
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), item)
        .await;
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 10).await;
    let one = json!({ "item": "item:potion" });
    let bought = guild.call("shop/buy", "buy", "user:1", one.clone()).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let statement = format!("{GUILD}/accounts/user:1/statement");
    let history = guild.get(&statement).await.json();

    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("guild.jsonl");
    let exported = stdout_of(&bursar(&[
        "export",
        text(&server.file()),
        "--economy",
        "guild",
    ]));
    std::fs::write(&lines, &exported).unwrap();
    let missing = stderr_of(&bursar(&[
        "export",
        text(&server.file()),
        "--economy",
        "unknown",
    ]));
    assert!(missing.contains("no such economy"), "{missing}");
    let into_served = stderr_of(&bursar_with_input(
        &["import", text(&server.file())],
        &lines,
    ));
    assert!(
        into_served.contains("stop the server first"),
        "{into_served}"
    );
    let head = guild.get(GUILD).await.json()["head"]
        .as_str()
        .unwrap()
        .to_owned();
    let copy = folder.path().join("copy.db");
    stdout_of(&bursar(&["backup", text(&server.file()), text(&copy)]));
    let alone = stdout_of(&bursar(&["export", text(&copy), "--economy", "guild"]));
    assert_eq!(alone, exported, "served and unserved exports are equal");
    server.close().await;

    let other = folder.path().join("other.db");
    let message = stdout_of(&bursar_with_input(&["import", text(&other)], &lines));
    assert!(message.contains(&head), "{message}");
    assert!(stderr_of(&bursar_with_input(&["import", text(&other)], &lines)).contains("already"));
    assert_eq!(
        stdout_of(&bursar(&["export", text(&other), "--economy", "guild"])),
        exported
    );

    let server = ServerProcess::serve(&other);
    let admin = server.admin_key.clone().expect("keys belong to their file");
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    let path = format!("{GUILD}/plugins/shop/actions/buy");
    let body = json!({ "caller": "user:1", "arguments": one });
    let again = client.post(&path, "buy", &body).await.unwrap();
    assert_eq!((again.body, again.replayed), (bought.body, true));
    let moved = client.get(&statement).await.unwrap().json();
    assert_eq!(moved["entries"], history["entries"]);
    let more = client.post(&path, "buy another", &body).await.unwrap();
    assert_eq!(more.status, 200, "{}", more.json());
    assert!(server.stop());
    assert_audit_passes(&other);
}

/// Requests an export and reads only the status line.
async fn start_export(server: &TestServer) -> tokio::net::TcpStream {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let key = &server.admin_key;
    let request = format!(
        "GET {GUILD}/export HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_concurrent_export_is_refused() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    // More than is buffered for a client that does not read.
    let metadata = json!({ "note": "n".repeat(800) });
    let transfers: Vec<Value> = (0..8_000)
        .map(|n| {
            let mut body = posting("user:1", "user:2", 1);
            body["idempotency_key"] = json!(format!("k{n}"));
            body["metadata"] = metadata.clone();
            body
        })
        .collect();
    let batch = json!({ "mode": "independent", "transfers": transfers });
    assert_eq!(
        guild.post("transfers/batch", "unused", batch).await.status,
        200
    );
    let mut exports = Vec::new();
    for _ in 0..4 {
        exports.push(start_export(&server).await);
    }
    let path = format!("{GUILD}/export");
    let refused = guild.get(&path).await;
    assert_eq!(
        (refused.status.as_u16(), &*refused.code()),
        (503, "overloaded")
    );
    exports.pop();
    let response = eventually("an export slot is free again", async || {
        let response = guild.get(&path).await;
        (response.status == 200).then_some(response)
    });
    assert!(response.await.body.ends_with(b"}\n"));
    drop(exports);
    server.close().await;
}

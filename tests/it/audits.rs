//! Audits over HTTP: one runs at a time, and an abandoned one is cancelled.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::archive::{bursar, stderr_of, stdout_of, text};
use crate::support::{GUILD, GuildClient, TestServer, posting};

/// The longest wait for an expected event.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Creates an economy whose records keep an audit busy for a while.
async fn server_with_many_records() -> (TestServer, GuildClient) {
    let (server, mut guild) = TestServer::with_guild(2).await;
    for batch in 0..3 {
        let transfers: Vec<Value> = (0..4000)
            .map(|number| {
                let (from, to) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
                let mut body = posting(&format!("user:{from}"), &format!("user:{to}"), 1);
                body["idempotency_key"] = json!(format!("pay {batch} {number}"));
                body
            })
            .collect();
        let body = json!({ "mode": "independent", "transfers": transfers });
        let paid = guild.post("transfers/batch", "unused", body).await;
        assert_eq!(paid.status, 200);
    }
    (server, guild)
}

/// Starts an audit and waits until it is running.
async fn start_audit(server: &TestServer, guild: &mut GuildClient) -> TcpStream {
    let head = format!(
        "GET {GUILD}/audit HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {}\r\n\r\n",
        server.admin_key
    );
    let under_way = tokio::time::timeout(TIMEOUT, async {
        loop {
            let mut connection = TcpStream::connect(server.address()).await.unwrap();
            connection.write_all(head.as_bytes()).await.unwrap();
            // The audit below may start first; then it runs, and this one is refused and sent again.
            if guild.get("/v1/audit").await.code() == "audit_running" {
                return connection;
            }
        }
    });
    under_way.await.expect("an audit is under way")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_ends_when_its_client_leaves() {
    let (server, mut guild) = server_with_many_records().await;
    let connection = start_audit(&server, &mut guild).await;
    drop(connection);
    let ended = tokio::time::timeout(TIMEOUT, async {
        while server.storage.audits_cancelled() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    ended.await.expect("the audit ends");
    let next = tokio::time::timeout(TIMEOUT, async {
        loop {
            let next = guild.get("/v1/audit").await;
            if next.code() != "audit_running" {
                return next;
            }
        }
    });
    assert_eq!(
        next.await.expect("another audit can run").json()["ok"],
        true
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_audit_runs_at_a_time() {
    let (server, mut guild) = server_with_many_records().await;
    let connection = start_audit(&server, &mut guild).await;
    let second = guild.get(&format!("{GUILD}/audit")).await;
    assert_eq!(
        (second.status.as_u16(), &*second.code()),
        (503, "audit_running")
    );
    assert_eq!(second.json()["retry"], "same_key");
    assert_eq!(second.retry_after, Some(5));
    // The command gets the same response from the serving process.
    let message = stderr_of(&bursar(&["audit", text(&server.file())]));
    assert!(message.contains("an audit is in progress"), "{message}");
    drop(connection);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_does_not_wait_for_an_audit() {
    let (server, mut guild) = server_with_many_records().await;
    let _connection = start_audit(&server, &mut guild).await;
    let file = server.file();
    let folder = server.into_folder().await;
    stdout_of(&bursar(&["audit", text(&file)]));
    drop(folder);
}

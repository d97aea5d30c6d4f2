//! The end of a server: by itself when its file is gone, and within a deadline after a stop signal.

use std::fs::File;
use std::time::Duration;

use bursar_server::client::Response;
use bursar_server::serve::ShutdownOutcome;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server_process::ServerProcess;
use crate::support::{TestServer, assert_audit_passes, install_malicious};

#[test]
fn a_process_whose_file_is_removed_exits_with_its_own_code_and_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let log = folder.path().join("log");
    let mut process = ServerProcess::logging(&file, File::create(&log).unwrap(), &[]);
    std::fs::rename(&file, folder.path().join("moved.db")).unwrap();
    assert_eq!(process.exit_code(), Some(70));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("removed, moved or replaced"), "{log}");
    assert!(log.contains("error: the writer gave the file up"), "{log}");
    assert!(!file.exists(), "no new file is made in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_writer_failed_reports_it_and_stops() {
    let server = TestServer::new().await;
    let mut admin = server.admin();
    assert_eq!(admin.get("/healthz").await.unwrap().status, 200);
    std::fs::remove_file(server.file()).unwrap();
    // A client sees the status 503, or the server is already gone.
    while let Ok(response) = admin.get("/healthz").await {
        if response.status == 503 {
            assert_eq!(response.code(), "unavailable");
            break;
        }
    }
    assert_eq!(server.wait_for_end().await, ShutdownOutcome::GaveUp);
}

/// Overwrites everything of a file but its first page with zeros.
fn damage(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.iter_mut().skip(4096).for_each(|byte| *byte = 0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_answer_that_cannot_be_read_is_unavailable() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let paid = guild.transfer("pay-1", "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201);
    damage(&server.file());
    damage(&server.file().with_extension("db-wal"));
    let outcome = guild.get("/v1/economies/guild/outcomes/pay-1").await;
    assert_eq!(
        (outcome.status.as_u16(), outcome.code()),
        (503, "unavailable".into())
    );
    assert!(outcome.retry_after.is_some());
}

/// Sends a request without its body.
async fn send_unfinished_request(address: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/economies/guild/transfers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
         Idempotency-Key: k\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server has started to read the body.
    let mut response = [0; 25];
    stream.read_exact(&mut response).await.unwrap();
    assert!(response.starts_with(b"HTTP/1.1 100 Continue"));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_request_does_not_block_the_shutdown() {
    let (server, _guild) =
        TestServer::with_setup(|setup| setup.stop_patience = Duration::from_secs(1))
            .await
            .with_members(1)
            .await;
    let stream = send_unfinished_request(server.address(), &server.admin_key).await;
    let (folder, ended) = server.stop().await;
    assert_eq!(
        ended,
        ShutdownOutcome::InOrder,
        "only the client was disconnected"
    );
    assert_audit_passes(&folder.path().join("test.db"));
    // The request had no response before that: the server did not wait for the body's own timeout.
    let answered = stream.try_read(&mut [0; 1]);
    assert!(answered.is_err(), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_return_does_not_block_the_shutdown() {
    let (server, mut guild) = TestServer::with_setup(|setup| {
        setup.stop_patience = Duration::from_secs(4);
        setup.limits.deadline = Duration::from_secs(20);
        setup.limits.fuel = 1 << 50;
        // An economy leaves as many call slots free as it uses: here it can use one.
        setup.calls.calls = 2;
    })
    .await
    .with_members(1)
    .await;
    install_malicious(&mut guild).await;
    let call = json!({ "caller": "user:1", "arguments": {} });
    let mut bot = server.admin();
    let body = call.clone();
    let calling = tokio::spawn(async move {
        let path = "/v1/economies/guild/plugins/malicious/actions/spin";
        let spins = |response: &Response| response.code() != "overloaded";
        while !bot
            .post(path, "spin", &body)
            .await
            .as_ref()
            .is_ok_and(spins)
        {}
    });
    // Once another call is refused, the malicious call has the one slot.
    let mut other = server.admin();
    let honest = "/v1/economies/guild/plugins/malicious/actions/honest";
    while other.post(honest, "k", &call).await.unwrap().code() != "overloaded" {}
    let (folder, ended) = server.stop().await;
    let ShutdownOutcome::Late { left } = ended else {
        panic!("the server waited for the plugin: {ended:?}");
    };
    assert_eq!(left, ["a plugin's call"]);
    assert!(!calling.is_finished(), "the call is still running");
    assert_audit_passes(&folder.path().join("test.db"));
}

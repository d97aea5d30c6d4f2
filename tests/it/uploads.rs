//! Uploads of components: findings of refused ones, the compiler's queue, and compiler failures of the
//! machine.

use std::collections::BTreeMap;
use std::path::Path;

use bursar_host::Compiler;
use bursar_server::bundled;
use serde_json::json;
use tokio::task::JoinSet;

use crate::server_process::binary;
use crate::support::{GuildClient, TestServer, install_malicious, upload};

/// Returns the malicious plugin with a number in a custom section, which makes it a different component.
fn malicious(number: u8) -> Vec<u8> {
    // A custom section of three bytes, named `n`.
    [bundled::MALICIOUS, &[0, 3, 1, b'n', number]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_place_types_and_nearest_name() {
    let (server, _) = TestServer::with_guild(1).await;
    let strange = wat::parse_str(
        r#"(component
            (import "bursar:plugin/cal@0.2.0" (instance))
            (import "bursar:plugin/call@0.2.0" (instance
                (export "now" (func (result s64)))
                (export "colour" (func)))))"#,
    );
    let refused = upload(server.admin(), strange.unwrap()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "component_refused".into())
    );
    let findings = refused.json()["findings"].clone();
    assert_eq!(findings[0]["nearest"], "bursar:plugin/call@0.2.0");
    assert_eq!(findings[1]["code"], "function_differs");
    assert_eq!(findings[1]["expected"], "now: func() -> u64;");
    assert_eq!(findings[1]["found"], "now: func() -> s64;");
    assert_eq!(findings[2]["code"], "function_not_offered");
    assert_eq!(findings[3]["code"], "export_missing");
    let locals = "i32 ".repeat(50_001);
    let greedy = format!("(component (core module (func $greedy (local {locals}))))");
    let refused = upload(server.admin(), wat::parse_str(greedy).unwrap()).await;
    let place = refused.json()["findings"][0]["place"].clone();
    assert_eq!(
        (&place["function"], &place["name"]),
        (&json!(0), &json!("greedy"))
    );
    assert!(place["byte"].as_u64().unwrap() > 0);
    server.close().await;
}

/// Returns a compiler that starts when a file exists.
fn compiler_behind(gate: &Path) -> Compiler {
    let gate = gate.display();
    let program = binary().display();
    // The script ends by itself if the file never exists, since no other code ends it.
    let wait =
        format!("n=0; while [ ! -e '{gate}' ] && [ $n -lt 9000 ]; do sleep 0.02; n=$((n+1)); done");
    let script = format!("{wait}; exec '{program}' compile-component \"$0\"");
    Compiler::child("/bin/sh".into(), vec!["-c".into(), script])
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_uploads_wait_for_the_compiler_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let server = TestServer::with_setup(|setup| setup.compiler = compiler_behind(&gate)).await;
    let (server, mut guild) = server.with_members(2).await;
    let mut uploads = JoinSet::new();
    for number in 0..10 {
        uploads.spawn(upload(server.admin(), malicious(number)));
    }
    // One upload is compiling and eight are queued; none of them can have a response yet.
    let refused_upload = uploads.join_next().await.unwrap().unwrap();
    assert_eq!(
        (refused_upload.status.as_u16(), refused_upload.code()),
        (503, "overloaded".into())
    );
    assert!(refused_upload.retry_after.is_some());
    // Other requests do not wait for the compiler. Another upload is refused, even one that would not be
    // compiled.
    let paid = guild.transfer("meanwhile", "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201);
    let core = upload(server.admin(), wat::parse_str("(module)").unwrap()).await;
    assert_eq!(core.code(), "overloaded", "the queue is full");
    std::fs::write(&gate, "").unwrap();
    while let Some(uploaded) = uploads.join_next().await {
        assert_eq!(uploaded.unwrap().status, 201);
    }
    let again = upload(server.admin(), malicious(9)).await;
    assert!(again.status.is_success(), "the queue has room again");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_does_not_start_is_a_server_error() {
    let missing = Compiler::child("/nowhere/bursar".into(), Vec::new());
    let server = TestServer::with_setup(|setup| setup.compiler = missing).await;
    let failed = upload(server.admin(), bundled::MALICIOUS).await;
    assert_eq!(
        (failed.status.as_u16(), failed.code()),
        (503, "unavailable".into())
    );
    assert!(failed.retry_after.is_some());
    assert!(
        !failed.json().to_string().contains("nowhere"),
        "paths are not disclosed"
    );
    // Errors of a component are found before the compiler starts.
    let refused = upload(server.admin(), b"hello".as_slice()).await;
    assert_eq!(refused.code(), "component_refused");
    server.close().await;
}

async fn honest(guild: &mut GuildClient, key: &str) -> bursar_server::client::Response {
    guild
        .call("malicious/honest", key, "user:1", json!({}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_altered_on_disk_is_recompiled_at_the_next_start() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let cache = server.file().with_extension("db.cache");
    let codes = || {
        let files = std::fs::read_dir(&cache).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == "code"))
    };
    let mut whole = BTreeMap::new();
    for path in codes() {
        let mut code = std::fs::read(&path).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        std::fs::write(&path, &code).unwrap();
        code[middle] ^= 1;
        whole.insert(path, code);
    }
    assert!(!whole.is_empty(), "the cache {} has code", cache.display());
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(honest(&mut guild, "a").await.status, 200);
    // The same component compiled and sealed with the same key gives the same bytes.
    let recompiled: BTreeMap<_, _> = codes()
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    assert!(recompiled == whole, "the cached code is valid again");
    server.close().await;
}

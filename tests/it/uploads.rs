//! Uploads: what is told of those that are refused, who waits for the compiler, and what a machine
//! that cannot compile says.

use std::collections::BTreeMap;
use std::path::Path;

use bursar_host::Compiler;
use bursar_server::bundled;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Guild, House, binary, install_malicious, upload};

/// The malicious component with a number in a section that means nothing: as many components as one likes.
fn malicious(number: u8) -> Vec<u8> {
    // A custom section of three bytes, whose name is `n`.
    [bundled::MALICIOUS, &[0, 3, 1, b'n', number]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_place_types_and_the_nearest_name() {
    let (house, _) = House::with_guild(1).await;
    let strange = wat::parse_str(
        r#"(component
            (import "bursar:plugin/cal@0.2.0" (instance))
            (import "bursar:plugin/call@0.2.0" (instance
                (export "now" (func (result s64)))
                (export "colour" (func)))))"#,
    );
    let refused = upload(house.admin(), strange.unwrap()).await;
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
    let refused = upload(house.admin(), wat::parse_str(greedy).unwrap()).await;
    let place = refused.json()["findings"][0]["place"].clone();
    assert_eq!(
        (&place["function"], &place["name"]),
        (&json!(0), &json!("greedy"))
    );
    assert!(place["byte"].as_u64().unwrap() > 0);
    house.close().await;
}

/// A compiler that waits for a file before it begins.
fn compiler_behind(gate: &Path) -> Compiler {
    let (gate, program) = (gate.display(), binary().display());
    // It gives up where the file never comes, since nobody else would end it.
    let wait =
        format!("n=0; while [ ! -e '{gate}' ] && [ $n -lt 9000 ]; do sleep 0.02; n=$((n+1)); done");
    let script = format!("{wait}; exec '{program}' compile-component \"$0\"");
    Compiler::child("/bin/sh".into(), vec!["-c".into(), script])
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_uploads_wait_for_the_compiler_and_one_more_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let house = House::set_up(|setup| setup.compiler = compiler_behind(&gate)).await;
    let (house, mut guild) = house.furnished(2).await;
    let mut uploads = JoinSet::new();
    for number in 0..10 {
        uploads.spawn(upload(house.admin(), malicious(number)));
    }
    // One is compiled and eight wait; none of them can have an answer yet.
    let turned_away = uploads.join_next().await.unwrap().unwrap();
    assert_eq!(
        (turned_away.status.as_u16(), turned_away.code()),
        (503, "overloaded".into())
    );
    assert!(turned_away.retry_after.is_some());
    // Nobody else waits for the compiler, not even an upload that never gets so far.
    let paid = guild.transfer("meanwhile", "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201);
    let core = upload(house.admin(), wat::parse_str("(module)").unwrap()).await;
    assert_eq!(core.code(), "overloaded", "it has no place either");
    std::fs::write(&gate, "").unwrap();
    while let Some(uploaded) = uploads.join_next().await {
        assert_eq!(uploaded.unwrap().status, 201);
    }
    let again = upload(house.admin(), malicious(9)).await;
    assert!(again.status.is_success(), "there is room again");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_does_not_start_is_the_servers_failure() {
    let missing = Compiler::child("/nowhere/bursar".into(), Vec::new());
    let house = House::set_up(|setup| setup.compiler = missing).await;
    let failed = upload(house.admin(), bundled::MALICIOUS).await;
    assert_eq!(
        (failed.status.as_u16(), failed.code()),
        (503, "unavailable".into())
    );
    assert!(failed.retry_after.is_some());
    assert!(
        !failed.json().to_string().contains("nowhere"),
        "paths stay here"
    );
    // What is wrong with a component is still found before anything is compiled.
    let refused = upload(house.admin(), b"hello".as_slice()).await;
    assert_eq!(refused.code(), "component_refused");
    house.close().await;
}

async fn honest(guild: &mut Guild, key: &str) -> bursar_server::client::Response {
    guild
        .call("malicious/honest", key, "user:1", json!({}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_altered_on_disk_is_made_anew_at_the_next_start() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let cache = house.file().with_extension("db.cache");
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
    assert!(!whole.is_empty(), "code is kept in {}", cache.display());
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    assert_eq!(honest(&mut guild, "a").await.status, 200);
    // The same code for the same component, sealed with the same key: byte for byte what it was.
    let anew: BTreeMap<_, _> = codes()
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    assert!(anew == whole, "the code in the cache is whole again");
    house.close().await;
}

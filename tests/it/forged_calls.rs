//! Call results that a host forged in ways the ledger cannot detect: they commit, and replay detects them.

use std::path::{Path, PathBuf};

use bursar_ledger::{Act, CallResult, HostRequest};
use bursar_server::clock;
use bursar_server::http::render;
use bursar_storage::{FileLock, Reply, Request, Storage, Submission};
use serde_json::{Value, json};

use crate::replay::replay;
use crate::server_process::ServerProcess;
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes};

const FLIP: &str = "/v1/economies/guild/plugins/coinflip/actions/flip";

fn bet() -> Value {
    json!({"caller": "user:1", "arguments": {"stake": 10, "side": "heads"}})
}

/// Copies a file that is not open, with its write-ahead log if there is one.
fn copy_database(file: &Path, name: &str) -> PathBuf {
    let copy = file.with_file_name(name);
    std::fs::copy(file, &copy).unwrap();
    let beside = |file: &Path| PathBuf::from(format!("{}-wal", file.display()));
    if beside(file).exists() {
        std::fs::copy(beside(file), beside(&copy)).unwrap();
    }
    copy
}

/// Returns a file with an installed game, and the result of the flip that an honest host would commit next.
async fn honest_flip() -> (tempfile::TempDir, PathBuf, CallResult) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 1_000).await;
    let file = server.file();
    let key = server.admin_key.clone();
    let folder = server.into_folder().await;
    let process = ServerProcess::serve(&copy_database(&file, "honest.db"));
    let mut guild = GuildClient {
        client: process.client(&key),
    };
    let flipped = guild.client.post(FLIP, "flip", &bet()).await.unwrap();
    assert_eq!(flipped.status, 200, "{}", flipped.json());
    let call = flipped.json()["call"].as_str().unwrap().to_owned();
    let receipt = guild.get(&format!("{GUILD}/calls/{call}")).await.json();
    assert!(process.stop());
    let result = serde_json::from_value(receipt["call"].clone()).unwrap();
    (folder, file, result)
}

/// Commits a result as a host does.
fn commit(file: &Path, result: CallResult) {
    let lock = FileLock::acquire(file).unwrap();
    let storage = Storage::open(file, lock, &clock::system(), render).unwrap();
    let submission = Submission {
        economy: "guild".parse().unwrap(),
        actor: "admin".into(),
        key: Some("flip".parse().unwrap()),
        request: Request::new("POST", FLIP, &bet()),
        act: Act::Call(Box::new(result)),
        component: None,
    };
    let reply = storage.submit(submission).unwrap().blocking_recv();
    let reply = reply.unwrap().unwrap();
    assert!(
        matches!(&reply, Reply::Answered(response) if response.status == 200),
        "{reply:?}"
    );
    storage.close();
}

/// Returns the result without its first requested transfer.
fn without_its_stake(result: &CallResult) -> CallResult {
    let mut text = serde_json::to_value(result).unwrap();
    let facts = result.transcript.exchanges().iter();
    let paid = facts
        .enumerate()
        .find(|(_, fact)| matches!(fact.request, HostRequest::Transfer(_)));
    let (place, _) = paid.unwrap();
    let facts = &mut text["transcript"]["facts"];
    facts.as_array_mut().unwrap().remove(place);
    serde_json::from_value(text).unwrap()
}

fn with_value(result: &CallResult, pointer: &str, value: Value) -> CallResult {
    let mut text = serde_json::to_value(result).unwrap();
    *text.pointer_mut(pointer).unwrap() = value;
    serde_json::from_value(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_call_results_are_detected_by_replay() {
    let (folder, file, honest) = honest_flip().await;
    let fuel = honest.fuel;
    for (name, result, shows) in [
        ("honest", honest.clone(), None),
        (
            "fuel",
            with_value(&honest, "/fuel", json!(fuel + 1)),
            Some("fuel"),
        ),
        (
            "reply",
            with_value(&honest, "/ending/replied/reply", json!({"paid": 1})),
            Some("reply"),
        ),
        ("stake", without_its_stake(&honest), Some("is Transfer(")),
    ] {
        let file = copy_database(&file, &format!("{name}.db"));
        let committing = file.clone();
        tokio::task::spawn_blocking(move || commit(&committing, result))
            .await
            .unwrap();
        // Neither the ledger nor the audit objects: both check only what was requested.
        assert_audit_passes(&file);
        let (code, output) = replay(&file, "coinflip", &[]);
        match shows {
            None => assert_eq!(code, Some(0), "{name}: {output}"),
            Some(word) => {
                assert_eq!(code, Some(1), "{name}: {output}");
                assert!(output.contains(word), "{name}: {output}");
            }
        }
    }
    drop(folder);
}

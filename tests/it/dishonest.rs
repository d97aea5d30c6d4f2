//! Calls that a host has made up, as far as the ledger can be told: they commit, and show when the component
//! runs again.

use std::path::{Path, PathBuf};

use bursar_ledger::{Act, CallResult, HostRequest};
use bursar_server::clock;
use bursar_server::http::render;
use bursar_storage::{FileLock, Reply, Request, Storage, Submission};
use serde_json::{Value, json};

use crate::replay::replay;
use crate::support::{GUILD, Guild, House, Process, audited};

const FLIP: &str = "/v1/economies/guild/plugins/coinflip/actions/flip";

fn bet() -> Value {
    json!({"caller": "user:1", "arguments": {"stake": 10, "side": "heads"}})
}

/// A copy of a file that nobody has open, with the log that may be beside it.
fn copied(file: &Path, name: &str) -> PathBuf {
    let copy = file.with_file_name(name);
    std::fs::copy(file, &copy).unwrap();
    let beside = |file: &Path| PathBuf::from(format!("{}-wal", file.display()));
    if beside(file).exists() {
        std::fs::copy(beside(file), beside(&copy)).unwrap();
    }
    copy
}

/// A file with a game in it, and the flip that an honest host commits next.
async fn about_to_flip() -> (tempfile::TempDir, PathBuf, CallResult) {
    let (house, mut guild) = House::with_guild(1).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 1_000).await;
    let (file, key) = (house.file(), house.admin_key.clone());
    let folder = house.left_behind().await;
    let process = Process::serve(&copied(&file, "honest.db"));
    let mut guild = Guild {
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

/// Has the writer commit a result, as a host does.
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
        matches!(&reply, Reply::Answered(answer) if answer.status == 200),
        "{reply:?}"
    );
    storage.close();
}

/// The result without the first thing that it asks for and is a movement.
fn without_its_stake(result: &CallResult) -> CallResult {
    let mut text = serde_json::to_value(result).unwrap();
    let facts = result.transcript.facts().iter();
    let paid = facts
        .enumerate()
        .find(|(_, fact)| matches!(fact.ask, HostRequest::Transfer(_)));
    let (place, _) = paid.unwrap();
    let facts = &mut text["transcript"]["facts"];
    facts.as_array_mut().unwrap().remove(place);
    serde_json::from_value(text).unwrap()
}

fn altered(result: &CallResult, pointer: &str, value: Value) -> CallResult {
    let mut text = serde_json::to_value(result).unwrap();
    *text.pointer_mut(pointer).unwrap() = value;
    serde_json::from_value(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_has_made_up_shows_when_the_component_runs_again() {
    let (folder, file, honest) = about_to_flip().await;
    let fuel = honest.fuel;
    for (name, result, shows) in [
        ("good faith", honest.clone(), None),
        (
            "fuel",
            altered(&honest, "/fuel", json!(fuel + 1)),
            Some("fuel"),
        ),
        (
            "reply",
            altered(&honest, "/ending/replied/reply", json!({"paid": 1})),
            Some("reply"),
        ),
        (
            "stake",
            without_its_stake(&honest),
            Some("it asks Transfer("),
        ),
    ] {
        let file = copied(&file, &format!("{name}.db"));
        let committing = file.clone();
        tokio::task::spawn_blocking(move || commit(&committing, result))
            .await
            .unwrap();
        // The ledger had nothing to object, and nor has the audit: both look at what was asked.
        audited(&file);
        let (code, said) = replay(&file, "coinflip", &[]);
        match shows {
            None => assert_eq!(code, Some(0), "{name}: {said}"),
            Some(word) => {
                assert_eq!(code, Some(1), "{name}: {said}");
                assert!(said.contains(word), "{name}: {said}");
            }
        }
    }
    drop(folder);
}

//! Recorded calls replayed with `bursar plugin replay`: on the recorded component and on another one.

use std::path::Path;
use std::process::Command;

use bursar_server::bundled;
use serde_json::json;

use crate::server_process::binary;
use crate::support::{GUILD, TestServer};

/// Runs `bursar plugin replay` and returns the exit code and the output.
pub(crate) fn replay(file: &Path, plugin: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(["plugin", "replay", "--economy", "guild", "--plugin", plugin])
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Returns the folder of a file with flips and purchases, some of them declined.
async fn file_with_calls() -> tempfile::TempDir {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let config = json!({"asset": "coin", "max_stake": 100});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 10_000).await;
    for flip in 0..8 {
        let bet = json!({"stake": 10, "side": "heads"});
        let key = format!("flip-{flip}");
        let flipped = guild.call("coinflip/flip", &key, "user:1", bet).await;
        assert_eq!(flipped.status, 200);
    }
    let bet = json!({"stake": 101, "side": "tails"});
    let declined = guild.call("coinflip/flip", "much", "user:2", bet).await;
    assert_eq!(declined.code(), "declined");
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 3).await;
    for (key, quantity, status) in [("a", 2, 200), ("b", 2, 422), ("c", 1, 200)] {
        let arguments = json!({"item": "item:potion", "quantity": quantity});
        let bought = guild.call("shop/buy", key, "user:2", arguments).await;
        assert_eq!(bought.status, status, "{}", bought.json());
    }
    server.into_folder().await
}

/// Writes a bundled component with a word replaced by another of the same length, and returns its path.
fn altered(name: &str, word: &str, other: &str, folder: &Path) -> String {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name).unwrap();
    let mut bytes = bundled.bytes.to_vec();
    let word = word.as_bytes();
    let other = other.as_bytes();
    let mut exchanged = 0;
    for place in 0..bytes.len() - word.len() {
        if bytes[place..].starts_with(word) {
            bytes[place..place + word.len()].copy_from_slice(other);
            exchanged += 1;
        }
    }
    assert!(exchanged > 0, "{name} contains the word");
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_calls_replay_with_the_same_result() {
    let folder = file_with_calls().await;
    let file = folder.path().join("test.db");
    let before = std::fs::read(&file).unwrap();
    let (code, output) = replay(&file, "coinflip", &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("9 calls have the same result, 0 another one"),
        "{output}"
    );
    let (code, output) = replay(&file, "shop", &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("3 calls have the same result"), "{output}");
    assert_eq!(
        std::fs::read(&file).unwrap(),
        before,
        "the file is unchanged"
    );
    let (code, output) = replay(&file, "unknown", &[]);
    assert_eq!(code, Some(1));
    assert!(output.contains("no such call of unknown"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_against_another_component_shows_the_differences() {
    let folder = file_with_calls().await;
    let file = folder.path().join("test.db");
    // A component that differs only in a text draws the same, whatever its digest is.
    let same = altered(
        "coinflip",
        "double or nothing at",
        "nothing or double at",
        folder.path(),
    );
    let (code, output) = replay(&file, "coinflip", &["--against", &same]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("9 calls would have the same result"),
        "{output}"
    );
    // A component that renames a reply member gives every member another reply, except the one that it
    // declined.
    let other = altered("coinflip", "paid", "pays", folder.path());
    let (code, output) = replay(&file, "coinflip", &["--against", &other]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("1 calls would have the same result, 8 another one"),
        "{output}"
    );
    assert!(
        output.contains("\"paid\":") && output.contains("\"pays\":"),
        "{output}"
    );
    let version = format!("of bursar {}", env!("CARGO_PKG_VERSION"));
    assert!(
        output.contains(&version),
        "the version that ran it: {output}"
    );
    let (code, output) = replay(&file, "shop", &["--against", &other]);
    assert_eq!(code, Some(1), "another plugin is no substitute: {output}");
    assert!(output.contains("it has no `shop/buy`"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_is_not_replayed() {
    let (server, _guild) = TestServer::with_guild(1).await;
    let (code, output) = replay(&server.file(), "shop", &[]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("is being served: make a backup"),
        "{output}"
    );
    server.close().await;
}

//! Calls of a journal run again: by the component that ran, and by another one.

use std::path::Path;
use std::process::Command;

use bursar_server::bundled;
use serde_json::json;

use crate::support::{GUILD, House, binary};

/// Runs `bursar plugin replay`, and gives what it says.
pub(crate) fn replay(file: &Path, plugin: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(["plugin", "replay", "--economy", "guild", "--plugin", plugin])
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// A file with flips and purchases in it, some of them declined.
async fn played() -> tempfile::TempDir {
    let (house, mut guild) = House::with_guild(2).await;
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
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 3).await;
    for (key, quantity, status) in [("a", 2, 200), ("b", 2, 422), ("c", 1, 200)] {
        let wanted = json!({"item": "item:potion", "quantity": quantity});
        let bought = guild.call("shop/buy", key, "user:2", wanted).await;
        assert_eq!(bought.status, status, "{}", bought.json());
    }
    house.left_behind().await
}

/// A bundled component with a word in it exchanged for another of the same length.
fn altered(name: &str, word: &str, other: &str, folder: &Path) -> String {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name).unwrap();
    let mut bytes = bundled.bytes.to_vec();
    let (word, other) = (word.as_bytes(), other.as_bytes());
    let mut exchanged = 0;
    for place in 0..bytes.len() - word.len() {
        if bytes[place..].starts_with(word) {
            bytes[place..place + word.len()].copy_from_slice(other);
            exchanged += 1;
        }
    }
    assert!(exchanged > 0, "{name} says its words");
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_calls_run_to_the_same_end() {
    let folder = played().await;
    let file = folder.path().join("test.db");
    let before = std::fs::read(&file).unwrap();
    let (code, said) = replay(&file, "coinflip", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("9 calls come to the same, 0 to something else"),
        "{said}"
    );
    let (code, said) = replay(&file, "shop", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 calls come to the same"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), before, "nothing is written");
    let (code, said) = replay(&file, "nobody", &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no such call of nobody"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_component_shows_what_would_have_differed() {
    let folder = played().await;
    let file = folder.path().join("test.db");
    // The same game under another version draws the same, whatever its digest is.
    let same = altered(
        "coinflip",
        "double or nothing at",
        "nothing or double at",
        folder.path(),
    );
    let (code, said) = replay(&file, "coinflip", &["--against", &same]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("9 calls would come to the same"), "{said}");
    // One that calls its payment otherwise tells each member something else, but the one it declined.
    let other = altered("coinflip", "paid", "pays", folder.path());
    let (code, said) = replay(&file, "coinflip", &["--against", &other]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("1 calls would come to the same, 8 to something else"),
        "{said}"
    );
    assert!(
        said.contains("\"paid\":") && said.contains("\"pays\":"),
        "{said}"
    );
    let version = format!("of bursar {}", env!("CARGO_PKG_VERSION"));
    assert!(said.contains(&version), "who ran it then: {said}");
    let (code, said) = replay(&file, "shop", &["--against", &other]);
    assert_eq!(code, Some(1), "another plugin is no substitute: {said}");
    assert!(said.contains("it has no `shop/buy`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_is_not_replayed() {
    let (house, _guild) = House::with_guild(1).await;
    let (code, said) = replay(&house.file(), "shop", &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is being served: make a backup"), "{said}");
    house.close().await;
}

//! An index whose files were altered: requests fail and are never answered wrongly, and a start rebuilds it.

use super::*;
use crate::log::indexing::folder_of;

/// Flips a bit in the middle of the first page of each run of a closed file's index.
fn damage_index(path: &Path) {
    let mut damaged = 0;
    for entry in std::fs::read_dir(folder_of(path)).expect("the folder") {
        let file = entry.expect("an entry").path();
        let is_run = file.to_string_lossy().contains("run-");
        if is_run {
            let mut bytes = std::fs::read(&file).expect("a run");
            let place = 40.min(bytes.len() - 1);
            bytes[place] ^= 1;
            std::fs::write(&file, bytes).expect("written");
            damaged += 1;
        }
    }
    assert!(damaged >= 3, "there are runs of several kinds");
}

/// Submits a transfer. Returns none if it failed.
fn try_ask(storage: &Storage, key: &str) -> Option<Answer> {
    let sent = storage.submit(submission(Some(key), transfer("user:1", "user:2", 1)));
    let reply = sent.ok()?.blocking_recv().ok()?.ok()?;
    Some(answered(reply))
}

#[test]
fn a_damaged_index_pays_nothing_twice_and_is_rebuilt_by_the_next_start() {
    let (_folder, path, storage) = open_guild();
    for number in 0..100 {
        let key = format!("k{number}");
        answered(ask(&storage, Some(&key), transfer("user:1", "user:2", 1)));
    }
    storage.close();
    drop(storage);
    damage_index(&path);
    let mut failed = 0;
    for number in 0..100 {
        let key = format!("k{number}");
        // A process that has found the damage serves no further request. The next one checks the index.
        for start in 0.. {
            assert!(start < 3, "the index is not rebuilt");
            let storage = open(&path);
            let answer = try_ask(&storage, &key);
            storage.close();
            drop(storage);
            if let Some(answer) = answer {
                assert!(answer.replayed, "{key} was paid twice");
                break;
            }
            failed += 1;
        }
        if number == 3 {
            break;
        }
    }
    assert!(failed <= 1, "one failure is enough to rebuild the index");
    all_promises_hold(&path);
}

//! Keys of large requests, which are compared by their lengths before their records are read.

use super::*;
use crate::index::IndexConfig;
use crate::log::file::{FileLog, LARGE_REQUEST_BYTES};
use crate::log::store::Log;
use crate::record::KeyLookup;

/// Creates a request of the given length.
fn sized(key: &str, bytes: u64) -> Submission {
    let act = transfer("user:1", "user:2", 1);
    let shortest = submission_at("/", Some(key), act.clone());
    let rest = usize::try_from(bytes).expect("a small number") - shortest.request.as_str().len();
    let sized = submission_at(&format!("/{}", "x".repeat(rest)), Some(key), act);
    assert_eq!(sized.request.as_str().len() as u64, bytes);
    sized
}

#[test]
fn a_large_request_of_another_length_is_not_read() {
    let (_folder, path, storage) = open_guild();
    for (key, bytes) in [
        ("large", LARGE_REQUEST_BYTES),
        ("smaller", LARGE_REQUEST_BYTES - 1),
    ] {
        let receiver = storage.submit(sized(key, bytes)).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
    let last = storage.state().records();
    // A start reads the newest frame.
    answered(ask(
        &storage,
        Some("newest"),
        transfer("user:1", "user:2", 1),
    ));
    storage.close();
    drop(storage);
    // A record that is read fails.
    let database = Database::open_writer(&path).expect("no process has it open");
    let damaged = database.batch(&format!(
        "DROP TRIGGER frames_stay_as_written;
         UPDATE frames SET bytes = x'00' WHERE id IN ({last} - 1, {last})"
    ));
    damaged.expect("two frames");
    drop(database);
    let mut log = FileLog::prepare(&path, IndexConfig::default()).expect("it opens");
    let state = log.load().expect("the checkpoint has both records");
    let number = state.number(&guild()).expect("the economy");
    let mut find = |key: &str, bytes: u64| log.find(number, key, &sized(key, bytes).request);
    let other = find("large", LARGE_REQUEST_BYTES + 1);
    assert!(matches!(other, Ok(Some(KeyLookup::Other))), "{other:?}");
    for (key, bytes) in [
        ("large", LARGE_REQUEST_BYTES),
        ("smaller", LARGE_REQUEST_BYTES),
    ] {
        let read = find(key, bytes);
        assert!(
            matches!(read, Err(StorageError::Damaged { .. })),
            "{key}: {read:?}"
        );
    }
}

//! Checkpoints: a start from one gives the same state as a start without one.

use std::sync::Mutex;
use std::sync::mpsc;

use super::watched::{Step, pace, prepare, push};
use super::*;
use crate::checkpoint::{self, Checkpoint};
use crate::commit::maintenance::MaintenanceConfig;
use crate::log::file::FileLog;
use crate::log::store::Log;

#[test]
fn a_start_from_a_checkpoint_and_from_the_first_record_are_equal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    for round in 0..3 {
        // Each close leaves a checkpoint; each open starts from it and adds a tail.
        let storage = open(&path);
        if round == 0 {
            found(&storage);
        }
        for n in 0..5 {
            let key = format!("{round}-{n}");
            answered(ask(&storage, Some(&key), transfer("user:1", "user:2", 1)));
        }
        storage.close();
    }
    let report = all_promises_hold(&path);
    assert!(
        report
            .promises
            .iter()
            .any(|promise| promise.checked.contains("checkpoint at record"))
    );
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let from_checkpoint = log.load().expect("a state");
    vandalise(
        &path,
        "DELETE FROM checkpoint_pieces; DELETE FROM checkpoints",
    );
    assert_eq!(log.load().expect("a state"), from_checkpoint);
}

#[test]
fn a_start_and_a_stop_without_work_write_no_checkpoint() {
    let (_folder, path, storage) = open_guild();
    storage.close();
    drop(storage);
    let checkpoints = || count(&path, "SELECT count(*) FROM checkpoints");
    assert_eq!(checkpoints(), 1);
    open(&path).close();
    assert_eq!(checkpoints(), 1);
}

#[test]
fn an_unclosed_checkpoint_does_not_count() {
    let (_folder, path, storage) = open_guild();
    let expected = storage.state();
    storage.close();
    drop(storage);
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let id = log.begin_checkpoint(&State::default()).expect("begun");
    let pieces = pieces(&expected);
    log.add_piece(id, 0, &pieces[0]).expect("added");
    assert_eq!(log.load().expect("a state"), *expected);
}

#[test]
fn a_checkpoint_that_was_altered_is_passed_over_and_found() {
    for altered in [
        "UPDATE checkpoint_pieces SET bytes = x'00' WHERE ordinal = 1",
        "UPDATE checkpoint_pieces SET bytes = (SELECT bytes FROM checkpoint_pieces LIMIT 1)",
        "DELETE FROM checkpoint_pieces WHERE ordinal = 0",
        "UPDATE checkpoints SET movement = movement + 1",
        "UPDATE checkpoints SET batch = batch + 1",
        "UPDATE checkpoints SET head = zeroblob(32)",
        "UPDATE checkpoints SET digest = NULL",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        founded_in_small_pieces(&path);
        vandalise(&path, altered);
        assert_eq!(broken(&path), [5], "{altered}");
        let storage = open(&path);
        assert_eq!(posted(&storage.state(), "user:1"), 100, "{altered}");
        // The end of this opening writes a sound checkpoint.
        storage.close();
        drop(storage);
        all_promises_hold(&path);
    }
}

#[test]
fn a_checkpoint_of_another_moment_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let state = log.load().expect("a state");
    let earlier = State {
        record: state.record - 1,
        ..state.clone()
    };
    write_out(&mut log, &earlier);
    assert_eq!(log.load().expect("a state"), state);
    assert_eq!(log.checkpointed(), 0);
}

/// Creates a closed file with an economy and a checkpoint of several pieces.
fn founded_in_small_pieces(path: &Path) {
    founded(path);
    let mut log = FileLog::open(path, Timestamp(1)).expect("the file");
    let state = log.load().expect("a state");
    write_out(&mut log, &state);
    while log.remove_old_pieces(pace().removed).expect("removed") {}
    log.close().expect("closed");
}

/// Returns the pieces of a state, as they are written.
fn pieces(state: &State) -> Vec<Vec<u8>> {
    let pieces = checkpoint::pieces(state.clone(), pace().piece_bytes);
    pieces.map(|piece| piece.expect("a piece")).collect()
}

pub(super) fn write_out(log: &mut FileLog, state: &State) {
    let id = log.begin_checkpoint(state).expect("begun");
    let pieces = pieces(state);
    for (piece, ordinal) in pieces.iter().zip(0..) {
        log.add_piece(id, ordinal, piece).expect("added");
    }
    let count = pieces.len() as u64;
    log.close_checkpoint(id, count).expect("closed");
}

#[test]
fn a_log_that_ends_before_its_checkpoint_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    vandalise(
        &path,
        "DROP TRIGGER frames_stay; DELETE FROM frames WHERE id = 5;",
    );
    let lock = FileLock::acquire(&path).expect("the lock");
    let opened = Storage::open(&path, lock, &time(), render);
    assert!(matches!(
        opened.err(),
        Some(StorageError::Damaged { record: 5, .. })
    ));
}

#[test]
fn a_checkpoint_is_read_whole_while_another_takes_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let reader = Database::open_reader(&path).expect("the file");
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let state = log.load().expect("a state");
    let few = pace().removed;
    let found = checkpoint::newest_while(&reader, || {
        write_out(&mut log, &state);
        while log.remove_old_pieces(few).expect("removed") {}
    });
    let found = found.expect("it is read");
    assert!(
        matches!(&found, Checkpoint::Sound(read) if **read == state),
        "{found:?}"
    );
}

/// Returns the steps of a writer from a start with one transfer until it has closed a checkpoint during requests, and
/// has removed the pieces of an older one.
fn write_out_beside_requests(path: &Path) -> (Vec<Step>, Vec<i64>, Arc<State>) {
    let steps = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let seen = Arc::clone(&steps);
    let (done, is_done) = mpsc::channel();
    let counted = path.to_owned();
    let mut sent = 0;
    let mut closed = false;
    let old = "SELECT count(*) FROM checkpoint_pieces
               WHERE checkpoint < (SELECT max(id) FROM checkpoints WHERE pieces IS NOT NULL)";
    let often = MaintenanceConfig {
        checkpoint_records: 4,
        ..pace()
    };
    let (writer, shared) = prepare(path, render, often, move |shared, step| {
        let mut seen = seen.lock().expect("whole");
        seen.0.push(step);
        match step {
            // Requests come in while pieces are written: three, so that no second one is begun.
            Step::WritingPiece if sent < 3 => {
                sent += 1;
                let key = format!("beside {sent}");
                let asked = submission(Some(&key), transfer("user:1", "user:2", 1));
                drop(push(shared, asked).expect("room"));
            }
            Step::ClosedCheckpoint => closed = true,
            Step::RemovingPieces if closed => seen.1.push(count(&counted, old)),
            Step::RemovedPieces { some: false } if closed => drop(done.send(())),
            _ => {}
        }
        Ok(())
    });
    for n in 0..4 {
        let asked = submission(Some(&format!("k{n}")), transfer("user:1", "user:2", 1));
        drop(push(&shared, asked).expect("room"));
    }
    let thread = std::thread::spawn(move || writer.run());
    is_done.recv().expect("the writer lives");
    let published = shared.published.load_full();
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    let (steps, counts) = std::mem::take(&mut *steps.lock().expect("whole"));
    (steps, counts, published)
}

#[test]
fn a_checkpoint_is_written_in_slices_while_requests_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded_in_small_pieces(&path);
    let before = count(&path, "SELECT count(*) FROM checkpoint_pieces");
    assert!(before > 2);
    let (steps, old_pieces, published) = write_out_beside_requests(&path);
    let begun = steps
        .iter()
        .position(|step| matches!(step, Step::WritingPiece))
        .expect("a checkpoint is begun");
    let closed = steps
        .iter()
        .position(|step| *step == Step::ClosedCheckpoint)
        .expect("a checkpoint is closed");
    let between = steps.get(begun..closed).expect("begun before closed");
    let commits = between.iter().filter(|step| **step == Step::Appended);
    assert!(commits.count() >= 2, "{between:?}");
    let pieces = between.iter().filter(|step| **step == Step::WritingPiece);
    assert!(pieces.count() > 1, "{between:?}");
    // The pieces of the first checkpoint are removed in portions of two.
    let counts = [before, before - 2];
    assert_eq!(old_pieces[..2], counts);
    assert_eq!(old_pieces.last(), Some(&0));
    assert_eq!(posted(&published, "user:2"), 7);
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    assert_eq!(log.load().expect("a state"), *published);
    drop(log);
    all_promises_hold(&path);
}

#[test]
fn a_process_that_ends_in_the_middle_of_a_checkpoint_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded_in_small_pieces(&path);
    let often = MaintenanceConfig {
        checkpoint_records: 1,
        ..pace()
    };
    let mut slices = 0;
    let (writer, shared) = prepare(&path, render, often, move |_, step| {
        slices += u32::from(matches!(step, Step::WritingPiece));
        assert!(slices < 2, "the process ends here");
        Ok(())
    });
    let asked = submission(Some("k"), transfer("user:1", "user:2", 30));
    let receiver = push(&shared, asked).expect("room");
    let thread = std::thread::spawn(move || writer.run());
    assert!(thread.join().is_err());
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    let unclosed = "SELECT count(*) FROM checkpoint_pieces
                    WHERE checkpoint IN (SELECT id FROM checkpoints WHERE pieces IS NULL)";
    assert_eq!(count(&path, unclosed), 1);

    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    assert_eq!(log.load().expect("a state"), **shared.published.load());
    drop(log);
    write_out_beside_requests(&path);
    assert_eq!(count(&path, unclosed), 0, "the next one clears it away");
    all_promises_hold(&path);
}

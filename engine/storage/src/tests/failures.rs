//! Failures of the disk and of the writer, after which no client gets a wrong answer.

use std::sync::Mutex;

use super::watched::{Step, pace, prepare, push};
use super::*;
use crate::commit::shared::Shared;
use crate::error::StorageError;
use crate::log::file::FileLog;

pub(super) fn disk_full() -> StorageError {
    StorageError::File {
        path: "guild.db".into(),
        source: std::io::Error::from(std::io::ErrorKind::StorageFull),
    }
}

fn ten() -> Act {
    transfer("user:1", "user:2", 10)
}

/// Waits until the queue accepts requests again.
pub(super) fn rebuilt(shared: &Shared) {
    while !shared.queue.is_open() {
        std::thread::yield_now();
    }
}

pub(super) fn send(shared: &Shared, key: &str, act: Act) -> Result<Reply, SubmitError> {
    let receiver = push(shared, submission(Some(key), act)).expect("requests are taken");
    receiver.blocking_recv().expect("an answer")
}

/// Fails a commit at a step, and repeats its request with the same key. Returns the published balance after the state
/// was rebuilt, and the answer to the repeated request.
fn commit_that_fails(at: Step) -> (i64, Answer) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let mut seen = 0;
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        seen += u32::from(step == at);
        if step == at && seen == 2 {
            return Err(disk_full());
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    send(&shared, "first", ten()).expect("the first commit works");
    assert_eq!(send(&shared, "second", ten()), Err(SubmitError::Unknown));
    rebuilt(&shared);
    let before_retry = posted(&shared.published.load(), "user:2");
    let again = answered(send(&shared, "second", ten()).expect("it works again"));
    assert_eq!(posted(&shared.published.load(), "user:2"), 20);
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
    (before_retry, again)
}

#[test]
fn a_failed_commit_publishes_nothing_and_can_be_asked_again() {
    let (before_retry, again) = commit_that_fails(Step::Appending);
    assert_eq!(
        (before_retry, again.status, again.replayed),
        (10, 201, false)
    );
}

#[test]
fn a_commit_whose_result_was_lost_is_found_again_under_its_key() {
    let (before_retry, again) = commit_that_fails(Step::Appended);
    assert_eq!(
        (before_retry, again.status, again.replayed),
        (20, 201, true)
    );
}

#[test]
fn a_file_that_cannot_be_opened_again_at_once_is_tried_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let mut commits = 0;
    let tries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&tries);
    let (writer, shared) = prepare(&path, render, pace(), move |shared, step| {
        if step == Step::Appending {
            commits += 1;
            if commits == 1 {
                return Err(disk_full());
            }
        }
        if step == Step::Reopening {
            assert!(
                !shared.queue.is_open(),
                "the queue rejects submissions meanwhile"
            );
            if counted.fetch_add(1, Ordering::SeqCst) < 3 {
                return Err(disk_full());
            }
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    assert_eq!(send(&shared, "k", ten()), Err(SubmitError::Unknown));
    rebuilt(&shared);
    assert_eq!(tries.load(Ordering::SeqCst), 4);
    answered(send(&shared, "k", ten()).expect("it works again"));
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
}

#[test]
fn a_file_that_will_never_be_right_again_is_given_up() {
    for error in [
        StorageError::Foreign(1),
        StorageError::damaged(1, "its hash is not that of its content"),
        StorageError::Database(libsql::Error::SqliteFailure(11, "malformed".into())),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        founded(&path);
        let mut error = Some(error);
        let (writer, shared) = prepare(&path, render, pace(), move |_, step| match step {
            Step::Appending => Err(disk_full()),
            Step::Reopening => Err(error.take().expect("it is tried once")),
            _ => Ok(()),
        });
        let thread = std::thread::spawn(move || writer.run());
        assert_eq!(send(&shared, "k", ten()), Err(SubmitError::Unknown));
        assert!(!thread.join().expect("the writer ends"));
        let refused = push(&shared, submission(Some("k"), ten()));
        assert_eq!(refused.err(), Some(SubmitError::Unavailable));
        assert_eq!(*shared.writer.borrow(), WriterState::GaveUp);
    }
}

/// Fails the first commit and the given number of attempts to reopen the file. Returns the state in which the writer
/// ended.
fn tries_that_fail(count: u32) -> WriterState {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let mut commits = 0;
    let mut tries = 0;
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| match step {
        Step::Appending => {
            commits += 1;
            if commits == 1 {
                Err(disk_full())
            } else {
                Ok(())
            }
        }
        Step::Reopening => {
            tries += 1;
            if tries <= count {
                Err(disk_full())
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    });
    let thread = std::thread::spawn(move || writer.run());
    assert_eq!(send(&shared, "k", ten()), Err(SubmitError::Unknown));
    while !shared.queue.is_open() && *shared.writer.borrow() == WriterState::Working {
        std::thread::yield_now();
    }
    shared.queue.close();
    thread.join().expect("the writer ends");
    *shared.writer.borrow()
}

#[test]
fn a_file_that_stays_away_is_given_up_after_some_tries() {
    let tries = pace().reopen_tries;
    assert_eq!(tries_that_fail(tries - 1), WriterState::Closed);
    assert_eq!(tries_that_fail(tries), WriterState::GaveUp);
}

/// Runs a writer and changes its file while the writer does maintenance. Returns the state in which the writer ended.
fn changed_meanwhile(change: impl Fn(&Path) + Send + 'static) -> WriterState {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let file = path.clone();
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        if step == Step::Tidying {
            change(&file);
        }
        Ok(())
    });
    assert!(!writer.run());
    *shared.writer.borrow()
}

#[test]
fn a_file_that_was_removed_or_replaced_is_given_up_and_none_is_made() {
    let remove = |path: &Path| std::fs::remove_file(path).expect("it is there");
    let replace = |path: &Path| {
        std::fs::rename(path, path.with_extension("old")).expect("it is there");
        founded(path);
    };
    assert_eq!(changed_meanwhile(remove), WriterState::GaveUp);
    assert_eq!(changed_meanwhile(replace), WriterState::GaveUp);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let identity = log.identity().clone();
    let index = log.index();
    drop(log);
    remove(&path);
    let again = FileLog::reopen(&identity, &path, &index, Timestamp(1));
    assert!(matches!(again.err(), Some(StorageError::Gone { .. })));
    assert!(!path.exists());
}

#[test]
fn a_file_that_lost_what_was_acknowledged_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let file = path.clone();
    let mut commits = 0;
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        commits += u32::from(step == Step::Appending);
        if step == Step::Appending && commits == 2 {
            vandalise(&file, CUT);
            return Err(disk_full());
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    send(&shared, "first", ten()).expect("the first commit works");
    assert_eq!(send(&shared, "second", ten()), Err(SubmitError::Unknown));
    assert!(!thread.join().expect("the writer ends"));
    assert_eq!(*shared.writer.borrow(), WriterState::GaveUp);
    assert_eq!(
        posted(&shared.published.load(), "user:2"),
        10,
        "not taken back"
    );
}

#[test]
fn closing_does_not_wait_for_a_file_that_stays_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let (writer, shared) = prepare(&path, render, pace(), move |shared, step| match step {
        Step::Appending => Err(disk_full()),
        Step::Reopening => {
            shared.queue.close();
            Err(disk_full())
        }
        _ => Ok(()),
    });
    let thread = std::thread::spawn(move || writer.run());
    assert_eq!(send(&shared, "k", ten()), Err(SubmitError::Unknown));
    assert!(!thread.join().expect("the writer ends"));
    assert_eq!(*shared.writer.borrow(), WriterState::Closed);
}

#[test]
fn a_writer_in_a_hurry_serves_what_waits_and_leaves_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let checkpoints = "SELECT count(*) FROM checkpoints WHERE pieces IS NOT NULL";
    let before = count(&path, checkpoints);
    let (writer, shared) = prepare(&path, render, pace(), |_, _| Ok(()));
    let receiver = push(&shared, submission(Some("k"), ten())).expect("room");
    shared.queue.close();
    shared.hurry();
    assert!(writer.run());
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    assert_eq!(*shared.writer.borrow(), WriterState::Closed);
    assert_eq!(count(&path, checkpoints), before);
    all_promises_hold(&path);
}

#[test]
fn a_writer_that_panics_leaves_no_request_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let caught = Arc::new(Mutex::new(None));
    let waiting = Arc::clone(&caught);
    let (writer, shared) = prepare(&path, render, pace(), move |shared, step| {
        if step == Step::Tidying {
            let receiver = push(shared, submission(Some("k"), ten())).expect("room");
            waiting.lock().expect("whole").replace(receiver);
            panic!("an internal error between batches");
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    assert!(thread.join().is_err());
    assert_eq!(*shared.writer.borrow(), WriterState::GaveUp);
    let receiver = caught.lock().expect("whole").take().expect("a receiver");
    assert_eq!(
        receiver.blocking_recv().expect("an answer"),
        Err(SubmitError::Unavailable)
    );
    let refused = push(&shared, submission(Some("k"), ten()));
    assert_eq!(refused.err(), Some(SubmitError::Unavailable));
}

#[test]
fn a_lock_that_another_tool_holds_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let tool = Database::open_writer(&path).expect("another tool");
    let (writer, shared) = prepare(&path, render, pace(), |_, step| {
        assert_ne!(step, Step::Reopening, "a commit failed");
        Ok(())
    });
    tool.batch("BEGIN IMMEDIATE").expect("its lock");
    let receiver = push(&shared, submission(Some("k"), ten())).expect("room");
    let (about_to, ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        about_to.send(()).expect("the test waits");
        writer.run()
    });
    ready.recv().expect("the writer begins");
    // However far the writer came by now, its commit finds the lock taken or free, and works.
    for _ in 0..10 {
        std::thread::yield_now();
    }
    tool.batch("COMMIT").expect("its lock is released");
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
}

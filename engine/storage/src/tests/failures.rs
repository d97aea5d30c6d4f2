//! When the disk says no, or the writer breaks off: nobody is told what is not so.

use std::sync::Mutex;

use super::watched::{Step, pace, prepare, push};
use super::*;
use crate::error::StorageError;
use crate::writer::Shared;

pub(super) fn disk_full() -> StorageError {
    StorageError::File {
        path: "guild.db".into(),
        source: std::io::Error::from(std::io::ErrorKind::StorageFull),
    }
}

fn ten() -> Act {
    transfer("user:1", "user:2", 10)
}

/// Waits until requests are taken again.
pub(super) fn rebuilt(shared: &Shared) {
    while !shared.queue.is_open() {
        std::thread::yield_now();
    }
}

pub(super) fn send(shared: &Shared, key: &str, act: Act) -> Result<Reply, Failure> {
    let receiver = push(shared, submission(Some(key), act)).expect("requests are taken");
    receiver.blocking_recv().expect("an answer")
}

/// Has a commit fail at a step, and asks again with the same key. Says what was published once the
/// state was rebuilt, and the answer to the second try.
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
    assert_eq!(send(&shared, "second", ten()), Err(Failure::Unknown));
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
    let (mut commits, tries) = (0, Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&tries);
    let (writer, shared) = prepare(&path, render, pace(), move |shared, step| {
        if step == Step::Appending {
            commits += 1;
            if commits == 1 {
                return Err(disk_full());
            }
        }
        if step == Step::Reopening {
            assert!(!shared.queue.is_open(), "nobody is let in meanwhile");
            if counted.fetch_add(1, Ordering::SeqCst) < 3 {
                return Err(disk_full());
            }
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    assert_eq!(send(&shared, "k", ten()), Err(Failure::Unknown));
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
        assert_eq!(send(&shared, "k", ten()), Err(Failure::Unknown));
        assert!(!thread.join().expect("the writer ends"));
        let refused = push(&shared, submission(Some("k"), ten()));
        assert_eq!(refused.err(), Some(Failure::Unavailable));
    }
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
    assert_eq!(send(&shared, "k", ten()), Err(Failure::Unknown));
    assert!(!thread.join().expect("the writer ends"));
}

#[test]
fn a_writer_that_breaks_off_leaves_nobody_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let caught = Arc::new(Mutex::new(None));
    let waiting = Arc::clone(&caught);
    let (writer, shared) = prepare(&path, render, pace(), move |shared, step| {
        if step == Step::Tidying {
            let receiver = push(shared, submission(Some("k"), ten())).expect("room");
            waiting.lock().expect("whole").replace(receiver);
            panic!("a bug in what is done between batches");
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    assert!(thread.join().is_err());
    let receiver = caught.lock().expect("whole").take().expect("a receiver");
    assert_eq!(
        receiver.blocking_recv().expect("an answer"),
        Err(Failure::Unavailable)
    );
    let refused = push(&shared, submission(Some("k"), ten()));
    assert_eq!(refused.err(), Some(Failure::Unavailable));
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
        about_to.send(()).expect("somebody waits");
        writer.run()
    });
    ready.recv().expect("the writer begins");
    // However far the writer came by now, its commit finds the lock taken or free, and works.
    for _ in 0..1_000 {
        std::thread::yield_now();
    }
    tool.batch("COMMIT").expect("its lock is released");
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
}

//! Audits of a file in use: they can be cancelled, and never block the write-ahead log.

use super::failures::send;
use super::watched::{pace, prepare};
use super::*;
use crate::background::BackgroundPace;
use crate::tools::audit::{self, AuditInput, Watch};

/// Adds the given number of records to the guild, in few commits.
fn pay_many(storage: &Storage, count: usize) {
    let sent: Vec<Receiver> = (0..count)
        .map(|number| {
            let key = format!("many {number}");
            let act = transfer("user:1", "user:2", 1);
            storage.submit(submission(Some(&key), act)).expect("room")
        })
        .collect();
    for receiver in sent {
        answered(
            receiver
                .blocking_recv()
                .expect("an answer")
                .expect("no failure"),
        );
    }
}

#[test]
fn an_audit_that_is_cancelled_ends_at_the_next_record() {
    let (_folder, path, storage) = open_guild();
    pay_many(&storage, 100);
    let cancel = Cancel::new();
    let mut seen = 0;
    let ended = storage.audit(&[], &cancel, &mut |done, _| {
        seen = done;
        if done == 40 {
            cancel.cancel();
        }
    });
    assert!(matches!(ended, Err(StorageError::Cancelled)), "{ended:?}");
    assert_eq!((seen, storage.audits_cancelled()), (40, 1));
    // An audit can also be cancelled after its records, while it checks tables and pages.
    let cancel = Cancel::new();
    let ended = storage.audit(&[], &cancel, &mut |done, all| {
        if done == all {
            cancel.cancel();
        }
    });
    assert!(matches!(ended, Err(StorageError::Cancelled)), "{ended:?}");
    assert_eq!(storage.audits_cancelled(), 2);
    let whole = storage.audit(&[], &Cancel::new(), &mut |_, _| {});
    assert!(whole.expect("the audit runs").ok);
    assert_eq!(storage.audits_cancelled(), 2);
    storage.close();
    all_promises_hold(&path);
}

/// An audit with one snapshot for its whole duration would keep the log from restarting.
#[test]
fn the_log_restarts_while_a_file_is_audited_and_written() {
    let (_folder, path, storage) = open_guild();
    pay_many(&storage, 400);
    storage.close();
    drop(storage);
    let (writer, shared) = prepare(&path, render, pace(), |_, _| Ok(()));
    let thread = std::thread::spawn(move || writer.run());
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let frames = || std::fs::metadata(&log).map_or(0, |found| found.len() / 4096);
    let before = frames();
    let mut most = 0;
    let mut written = 0;
    let state = shared.published.load_full();
    let cancel = Cancel::new();
    let against = AuditInput {
        state: Some(&state),
        heads: &[],
        index: None,
    };
    let watch = Watch {
        cancel: &cancel,
        gate: Some(&shared.log_gate),
        wal_bytes_max: AUDIT_WAL_BYTES_MAX,
        pace: BackgroundPace::beside(&shared.published),
    };
    // A commit for each record that is audited.
    let report = audit::audit(&path, &against, &watch, render, &mut |done, _| {
        let key = format!("beside {done}");
        answered(send(&shared, &key, transfer("user:2", "user:1", 1)).expect("a reply"));
        written += 1;
        most = most.max(frames());
    });
    assert!(report.expect("the audit runs").ok);
    assert_eq!(written, 405);
    // A commit writes ten frames or more, and up to a hundred frames may remain before the audit pauses.
    assert!(
        most < before.max(100) + 400,
        "{most} frames, {before} before"
    );
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
}

//! Notes of the progress of webhooks, which are stored beside the log.

use std::sync::Mutex;

use bursar_ledger::WebhookReplay;

use super::failures::{disk_full, rebuilt, send};
use super::watched::{Step, pace, prepare};
use super::*;
use crate::webhooks::notes::{NOTES_AT_ONCE, Notes};

fn place(webhook: &str) -> WebhookPlace {
    (guild(), name(webhook))
}

fn delivery(done: u64) -> Delivery {
    Delivery {
        done,
        ..Delivery::new(WebhookReplay { seq: 2, after: 2 })
    }
}

fn done(storage: &Storage, webhook: &str) -> Option<u64> {
    storage.delivery(&place(webhook)).map(|note| note.done)
}

#[test]
fn a_note_is_no_record_and_is_there_after_a_restart() {
    let (folder, path, storage) = open_guild();
    let records = storage.state().records();
    let letter = DeadLetter {
        seq: 3,
        kind: "transfer".into(),
        at: Timestamp(7),
        attempts: 11,
        error: "it answered 500".into(),
    };
    for done in 3..50 {
        storage.note_delivery(&place("bot"), Some(delivery(done)));
        storage.note_delivery(&place("gone"), Some(delivery(done)));
    }
    let last = Delivery {
        dead: vec![letter],
        ..delivery(50)
    };
    storage.note_delivery(&place("bot"), Some(last.clone()));
    storage.note_delivery(&place("gone"), None);
    pollster::block_on(storage.until_delivery_written(&place("bot")));
    let copy = folder.path().join("copy.db");
    let plan = BackupPlan {
        audit: true,
        wal_bytes_max: BACKUP_WAL_BYTES_MAX,
    };
    storage
        .back_up(&copy, plan, &mut |_, _| {})
        .expect("a copy");
    // The last notes are written before the file is closed.
    storage.note_delivery(&place("late"), Some(delivery(9)));
    storage.close();
    drop(storage);
    for path in [&path, &copy] {
        let storage = open(path);
        assert_eq!(storage.state().records(), records);
        let found = storage.delivery(&place("bot"));
        assert_eq!(found.as_deref(), Some(&last));
        assert_eq!(done(&storage, "gone"), None);
        let is_late = (path != &copy).then_some(9);
        assert_eq!(done(&storage, "late"), is_late);
        storage.close();
        all_promises_hold(path);
    }
}

/// Otherwise each note would cost a sync, for which requests wait.
#[test]
fn notes_go_with_the_next_commit() {
    let (_folder, path, storage) = open_guild();
    storage.close();
    drop(storage);
    let appended = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&appended);
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        counted.fetch_add(u64::from(step == Step::Appended), Ordering::SeqCst);
        Ok(())
    });
    shared.notes.set(&place("bot"), Some(delivery(4)));
    let pay = submission(Some("pay"), transfer("user:1", "user:2", 1));
    let receiver = super::watched::push(&shared, pay).expect("there is room");
    let thread = std::thread::spawn(move || writer.run());
    answered(
        receiver
            .blocking_recv()
            .expect("an answer")
            .expect("no failure"),
    );
    assert!(shared.notes.is_written(&place("bot")));
    assert_eq!(appended.load(Ordering::SeqCst), 1);
    // Without requests the notes have a commit of their own.
    shared.notes.set(&place("bot"), Some(delivery(5)));
    pollster::block_on(shared.notes.until_written(&place("bot")));
    assert_eq!(appended.load(Ordering::SeqCst), 2);
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
}

#[test]
fn a_note_whose_commit_failed_is_written_with_another() {
    let (_folder, path, storage) = open_guild();
    storage.close();
    drop(storage);
    let failed = Mutex::new(false);
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        let mut failed = failed.lock().expect("no holder panics");
        if step == Step::Appending && !std::mem::replace(&mut *failed, true) {
            return Err(disk_full());
        }
        Ok(())
    });
    shared.notes.set(&place("bot"), Some(delivery(4)));
    let pay = submission(Some("pay"), transfer("user:1", "user:2", 1));
    let receiver = super::watched::push(&shared, pay).expect("there is room");
    let thread = std::thread::spawn(move || writer.run());
    let lost = receiver.blocking_recv().expect("an answer");
    assert_eq!(lost, Err(SubmitError::Unknown));
    rebuilt(&shared);
    answered(send(&shared, "again", transfer("user:1", "user:2", 1)).expect("a reply"));
    pollster::block_on(shared.notes.until_written(&place("bot")));
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    let storage = open(&path);
    assert_eq!(done(&storage, "bot"), Some(4));
    storage.close();
    all_promises_hold(&path);
}

#[test]
fn a_txn_writes_so_many_notes_and_the_rest_with_the_next() {
    let notes = Notes::default();
    for number in 0..=NOTES_AT_ONCE {
        notes.set(&place(&format!("w{number:03}")), Some(delivery(4)));
    }
    let some = notes.unwritten();
    assert_eq!(some.len(), NOTES_AT_ONCE);
    // A note that is set during a txn is written with the next one.
    notes.set(&place("w000"), Some(delivery(5)));
    notes.wrote(&some);
    assert!(!notes.is_written(&place("w000")) && notes.is_written(&place("w001")));
    let rest = notes.unwritten();
    assert_eq!(rest.len(), 2);
    notes.wrote(&rest);
    assert!(notes.unwritten().is_empty());
}

/// If a note cannot be read, its own webhook gets some events again, and no other one does.
#[test]
fn a_note_that_cannot_be_read_is_left_out() {
    let (_folder, path, storage) = open_guild();
    storage.note_delivery(&place("bot"), Some(delivery(4)));
    storage.note_delivery(&place("odd"), Some(delivery(4)));
    storage.close();
    drop(storage);
    vandalise(
        &path,
        "UPDATE webhook_progress SET progress = '{' WHERE webhook = 'odd'",
    );
    let storage = open(&path);
    assert_eq!(
        (done(&storage, "bot"), done(&storage, "odd")),
        (Some(4), None)
    );
    storage.close();
    all_promises_hold(&path);
}

//! Bounds on what delays one commit: its requests, the holds that it ends, and the work between two commits.

use std::sync::Mutex;

use bursar_ledger::{
    ACT_WORK, BatchRequest, HoldId, HoldRequest, OnExpiry, POSTING_WORK, Transfers,
};

use super::checkpoints::write_out;
use super::failures::send;
use super::watched::{Step, pace, prepare, push};
use super::*;
use crate::commit::batch::{Batch, HOLDS_ENDED_MAX};
use crate::commit::maintenance::{MaintenanceConfig, Tidying};
use crate::commit::shared::Shared;
use crate::commit::submission::Submission;
use crate::commit::writer::WORK_MAX;
use crate::log::file::FileLog;
use crate::log::store::Log;
use crate::log::store::{Epoch, Portion};
use crate::record::{EconomyNumber, Salts};
use crate::request::Request;

const EPOCH: Epoch = Epoch {
    number: 1,
    salts: Salts([7; 32]),
};

/// Returns a batch with the given number of transfers of one coin.
fn batch(transfers: usize) -> Act {
    let Act::Transfer(one) = transfer("user:1", "user:2", 1) else {
        unreachable!("it is a transfer");
    };
    let each = |number: usize| TransferRequest {
        id: TransferId(uuid::Uuid::from_u128(number as u128)),
        ..one.clone()
    };
    let transfers = (0..transfers).map(each).collect();
    Act::Batch(BatchRequest {
        transfers: Transfers::new(transfers).expect("a batch"),
        cap: None,
    })
}

/// Returns the number of records of each commit while the given number of transfers wait from the beginning.
fn commits(waiting: u64) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        if let Step::Batch(records) = step {
            noted.lock().expect("whole").push(records);
        }
        Ok(())
    });
    for number in 0..waiting {
        let key = format!("k{number}");
        drop(push(
            &shared,
            submission(Some(&key), transfer("user:1", "user:2", 1)),
        ));
    }
    shared.queue.close();
    assert!(writer.run());
    seen.lock().expect("whole").clone()
}

#[test]
fn a_commit_ends_at_its_work() {
    let most = WORK_MAX / (ACT_WORK + POSTING_WORK);
    assert_eq!(commits(most), [most]);
    assert_eq!(commits(most + 1), [most, 1]);
}

#[test]
fn work_counts_what_is_moved_and_what_was_sent() {
    let one = submission(None, transfer("user:1", "user:2", 1));
    let many = submission(None, batch(100));
    assert!(many.weight().work >= 60 * one.weight().work);
    let bytes = vec![0; 1 << 20];
    let upload = Submission {
        component: Some((Digest::of(&bytes), bytes.into())),
        ..one.clone()
    };
    let added = upload.weight().work - one.weight().work;
    assert_eq!(added, 1024, "each KiB of a component");
}

/// Returns a batch on a state in which the given number of holds expire at one moment.
fn holds(count: usize) -> Batch {
    let hold = |number: usize| {
        let Act::Transfer(asked) = transfer("user:1", "user:2", 1) else {
            unreachable!("it is a transfer");
        };
        let posting = asked.postings.as_slice().first().expect("one").clone();
        submission(
            None,
            Act::PlaceHold(Box::new(HoldRequest {
                id: HoldId(uuid::Uuid::from_u128(number as u128)),
                reservation: posting.try_into().expect("two accounts"),
                expires_in_s: 1,
                on_expiry: OnExpiry::default(),
                authority: Authority::Bot,
                cap: None,
            })),
        )
    };
    let mut asked: Vec<Submission> = founding()
        .into_iter()
        .map(|act| submission(None, act))
        .collect();
    asked.push(submission(None, issue("user:1", 1_000)));
    asked.extend((0..count).map(hold));
    let asked: Vec<&Submission> = asked.iter().collect();
    let mut find = |_: EconomyNumber, _: &str, _: &Request| Ok(None);
    let batch = Batch::new(State::default(), Timestamp(1), EPOCH, render);
    batch.decide_all(&asked, &mut find).expect("decided").0
}

#[test]
fn holds_that_are_due_end_in_portions() {
    for (count, portions) in [
        (HOLDS_ENDED_MAX, [HOLDS_ENDED_MAX, 0]),
        (HOLDS_ENDED_MAX + 1, [HOLDS_ENDED_MAX, 1]),
    ] {
        let mut state = holds(count).state;
        for portion in portions {
            let batch = Batch::new(state, Timestamp(5_000), EPOCH, render).end_holds();
            assert_eq!(batch.appended.len(), portion);
            state = batch.state;
        }
    }
    let hold = HoldId(uuid::Uuid::nil());
    let work = Act::ExpireHold { hold }.work() * HOLDS_ENDED_MAX as u64;
    assert!(work <= WORK_MAX / 2, "less than half of a commit: {work}");
}

/// Returns the steps of a writer between commits while requests went on waiting.
fn upkeep(pace: MaintenanceConfig, acts: Vec<Act>) -> Vec<Step> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let note = move |_: &Shared, step| {
        seen.lock().expect("whole").push(step);
        Ok(())
    };
    let (writer, shared) = prepare(&path, render, pace, note);
    let thread = std::thread::spawn(move || writer.run());
    for (number, act) in acts.into_iter().enumerate() {
        answered(send(&shared, &format!("k{number}"), act).expect("a reply"));
    }
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    let steps = std::mem::take(&mut *steps.lock().expect("whole"));
    all_promises_hold(&path);
    steps
}

#[test]
fn a_piece_of_a_checkpoint_ends_at_its_bytes() {
    let often = |piece_bytes| MaintenanceConfig {
        checkpoint_records: 1,
        piece_bytes,
        ..pace()
    };
    let pieces = |bytes| {
        let steps = upkeep(often(bytes), vec![transfer("user:1", "user:2", 1)]);
        let pieces = steps.iter().filter(|step| **step == Step::WritingPiece);
        pieces.count()
    };
    let large = pieces(usize::MAX);
    assert!(large >= 1);
    assert!(pieces(1) >= 5 * large, "each entry is larger than a piece");
}

#[test]
fn old_pieces_are_removed_up_to_a_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let storage = open(&path);
    answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 1)));
    storage.close();
    drop(storage);
    let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
    let state = log.load().expect("a state");
    write_out(&mut log, &state);
    write_out(&mut log, &state);
    let old = || {
        count(
            &path,
            "SELECT count(*) FROM checkpoint_pieces
             WHERE checkpoint < (SELECT max(id) FROM checkpoints WHERE pieces IS NOT NULL)",
        )
    };
    let before = old();
    assert!(before > 2);
    let pieces = usize::MAX >> 1;
    let bytes = 1;
    assert!(
        log.remove_old_pieces(Portion { pieces, bytes })
            .expect("removed")
    );
    assert_eq!(old(), before - 1, "one crosses it");
    let bytes = usize::MAX >> 1;
    assert!(
        log.remove_old_pieces(Portion { pieces, bytes })
            .expect("removed")
    );
    assert_eq!(old(), 0);
    assert!(
        !log.remove_old_pieces(Portion { pieces, bytes })
            .expect("removed")
    );
}

#[test]
fn the_write_ahead_log_is_copied_after_so_many_bytes() {
    let pace = MaintenanceConfig {
        tidy_every: std::time::Duration::MAX,
        tidy_bytes: 10,
        ..pace()
    };
    let mut tidying = Tidying::default();
    tidying.add(9);
    assert!(!tidying.is_next(&pace));
    tidying.add(1);
    assert!(tidying.is_next(&pace));
    tidying.add(10);
    assert!(!tidying.is_next(&pace), "not twice in a row");
    assert!(tidying.is_next(&pace));
}

//! Bounds on what is returned or done at one time: a page of events, the holds that one commit ends, the findings of an
//! audit.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use bursar_ledger::{HoldId, HoldRequest, OnExpiry};

use super::*;
use crate::commit::batch::HOLDS_ENDED_MAX;

/// Submits all transfers before it waits for any answer, so that they share commits.
fn pay(storage: &Storage, keys: std::ops::Range<usize>, path: &str) {
    let submit = |number: usize| {
        let act = transfer("user:1", "user:2", 1);
        let asked = submission_at(path, Some(&format!("pay-{number}")), act);
        storage.submit(asked).expect("room")
    };
    let waiting: Vec<_> = keys.map(submit).collect();
    for receiver in waiting {
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
}

/// Returns a page of the events after a number, with at most `limit` of them.
fn page(storage: &Storage, after: u64, limit: usize) -> Vec<Event> {
    let upto = u64::MAX;
    let range = EventRange {
        after,
        upto,
        bytes_max: usize::MAX,
    };
    storage.events(&guild(), range, limit).expect("a page")
}

#[test]
fn a_page_of_events_has_so_many_whatever_is_asked_for() {
    let (_folder, path, storage) = open_guild();
    pay(&storage, 0..EVENTS_MAX, "/test");
    let page = |limit: usize| page(&storage, 0, limit).len();
    assert_eq!(page(EVENTS_MAX), EVENTS_MAX);
    assert_eq!(page(EVENTS_MAX + 1), EVENTS_MAX);
    assert_eq!(page(1), 1);
    storage.close();
    all_promises_hold(&path);
}

#[test]
fn a_page_of_events_ends_at_its_bytes_and_never_before_its_first_event() {
    let (_folder, _path, storage) = open_guild();
    let first = storage.state().books(&guild()).expect("the economy").seq();
    // Three of the requests of 300 KiB fit into the limit of 1 MiB; the request of 2 MiB exceeds it alone.
    let long = |bytes: usize| format!("/test/{}", "x".repeat(bytes));
    pay(&storage, 0..4, &long(300 << 10));
    pay(&storage, 4..5, &long(2 << 20));
    let page = |after: u64| {
        let page = page(&storage, after, EVENTS_MAX);
        page.last().expect("it is not empty").seq
    };
    assert_eq!(page(first), first + 3);
    assert_eq!(page(first + 3), first + 4);
    assert_eq!(
        page(first + 4),
        first + 5,
        "too large for a page, and one of its own"
    );
    storage.close();
}

/// Each end is a record. Without a bound, thousands of holds that expire together would delay the requests of all
/// economies.
#[test]
fn one_commit_ends_so_many_holds_and_the_next_one_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let now = Arc::new(AtomicU64::new(1_000));
    let read = Arc::clone(&now);
    let time = TimeSource::even(move || Timestamp(read.fetch_add(1, Ordering::Relaxed)));
    let lock = FileLock::acquire(&path).expect("the lock");
    let storage = Storage::open(&path, lock, &time, render).expect("the file opens");
    found(&storage);
    answered(ask(&storage, Some("issue-2"), issue("user:1", 10_000)));
    let place = |number: usize| {
        let posting = Posting {
            source: name("user:1"),
            destination: name("user:2"),
            asset: name("coin"),
            amount: Amount::ONE,
        };
        let act = Act::PlaceHold(Box::new(HoldRequest {
            id: HoldId(uuid::Uuid::from_u128(number as u128)),
            reservation: posting.try_into().expect("two accounts"),
            expires_in_s: 3_600,
            on_expiry: OnExpiry::Release,
            authority: Authority::Bot,
            cap: None,
        }));
        let asked = submission_at(&format!("/test/{number}"), Some(&format!("h{number}")), act);
        storage.submit(asked).expect("room")
    };
    let waiting: Vec<_> = (1..=HOLDS_ENDED_MAX + 1).map(place).collect();
    for receiver in waiting {
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
    // All holds have expired, and each request makes the writer end more of them.
    now.fetch_add(2 * 3_600_000, Ordering::Relaxed);
    for number in 0..10 {
        answered(ask(
            &storage,
            Some(&format!("late-{number}")),
            transfer("user:1", "user:2", 1),
        ));
    }
    let open = storage
        .state()
        .books(&guild())
        .expect("the economy")
        .holds_open();
    assert_eq!(open, 0);
    storage.close();
    // The ends of one commit have the same time.
    let mut ends = BTreeMap::new();
    for record in records(&path).iter().filter(|it| it.kind == "expire_hold") {
        *ends.entry(record.recorded_at).or_insert(0) += 1;
    }
    assert_eq!(ends.values().max(), Some(&HOLDS_ENDED_MAX));
    assert_eq!(recorded(&path, "expire_hold"), HOLDS_ENDED_MAX + 1);
    all_promises_hold(&path);
}

#[test]
fn an_audit_says_so_many_findings_of_a_promise_and_how_many_more() {
    for (added, more) in [(20, None), (21, Some("and 1 more"))] {
        let (_folder, path, storage) = open_guild();
        storage.close();
        for number in 0..added {
            let digest = Digest::of(&[number]);
            let sql = format!("INSERT INTO components (digest, bytes) VALUES (x'{digest}', x'00')");
            vandalise(&path, &sql);
        }
        let report = audit_file(&path, &[], render, &mut |_, _| {}).expect("the audit runs");
        let longest = report
            .promises
            .iter()
            .map(|promise| promise.findings.len())
            .max();
        assert!(longest.is_some_and(|longest| longest <= 21), "{report:#?}");
        let findings = report.promises.iter().flat_map(|promise| &promise.findings);
        let cut: Vec<&String> = findings.filter(|it| it.starts_with("and ")).collect();
        assert_eq!(cut.first().map(|cut| cut.as_str()), more, "{report:#?}");
    }
}

//! Findings of the audit.

use bursar_ledger::{CallEnding, CallRequest, CallResult, Digest, Draft};
use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::error::StorageError;

#[test]
fn an_altered_log_is_found_and_not_opened() {
    let (_folder, path, storage) = open_guild();
    answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    storage.close();
    drop(storage);
    let vandal = Database::open_writer(&path).expect("a database");
    assert!(
        vandal
            .batch("UPDATE frames SET batch = 3 WHERE id = 2")
            .is_err()
    );
    drop(vandal);
    alter_records(&path, |record| {
        for movement in record.movements.iter_mut().filter(|_| record.id == 6) {
            movement.amount = Amount::new(3).expect("an amount");
        }
    });
    vandalise(&path, "DELETE FROM checkpoints");
    let lock = FileLock::acquire(&path).expect("the lock");
    let opened = Storage::open(&path, lock, &time(), render);
    assert!(matches!(
        opened.err(),
        Some(StorageError::Damaged { record: 6, .. })
    ));
}

fn component(bytes: &'static [u8]) -> Submission {
    let digest = Digest::of(bytes);
    let act = Act::AddComponent {
        digest,
        bytes: bytes.len() as u64,
        name: "shop".into(),
        version: "1.0.0".into(),
    };
    Submission {
        component: Some((digest, Bytes::from_static(bytes))),
        ..submission(None, act)
    }
}

#[test]
fn a_component_that_is_altered_or_missing_is_found() {
    for altered in [
        "UPDATE components SET bytes = x'00'",
        "DELETE FROM components",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        let storage = open(&path);
        found(&storage);
        send(&storage, component(b"some bytes"));
        storage.close();
        drop(storage);
        all_promises_hold(&path);
        vandalise(&path, altered);
        assert_eq!(broken(&path), [5], "{altered}");
    }
}

fn send(storage: &Storage, submission: Submission) -> Answer {
    let receiver = storage.submit(submission).expect("room");
    answered(receiver.blocking_recv().expect("an answer").expect("ok"))
}

/// Returns a call of a plugin that is not installed, as the host ends it.
fn call(state: &State) -> Act {
    let request = json!({
        "id": "00000000-0000-0000-0000-000000000000",
        "plugin": "shop",
        "action": "buy",
        "caller": "user:1",
        "arguments": { "item": "potion" },
        "spend_limit": { "coin": 5 },
        "key": "k",
        "now": 1,
    });
    let request: CallRequest = serde_json::from_value(request).expect("a call");
    let books = state.books(&guild()).expect("the economy");
    let Err(refused) = Draft::open(&**books, &request, books.recorded_at()) else {
        panic!("there is no such plugin");
    };
    Act::Call(Box::new(CallResult {
        request,
        component: Digest::ZERO,
        transcript: serde_json::from_value(json!({ "version": 0, "facts": [] })).expect("empty"),
        ending: CallEnding::NotRun(refused),
        fuel: 0,
        origin: None,
    }))
}

/// Returns acts that move money, each with the body of a request that differs in one member.
fn misheard(state: &State) -> Vec<(Act, Value)> {
    let supply = json!({ "account": "user:1", "asset": "coin", "amount": 5 });
    let called = json!({
        "caller": "user:1", "arguments": { "item": "potion" }, "spend_limit": { "coin": 5 },
    });
    let mut misheard = Vec::new();
    for act in [issue("user:1", 5), Act::Burn(coins("user:1", 5))] {
        for (member, other) in [
            ("account", json!("user:2")),
            ("asset", json!("gem")),
            ("amount", json!(6)),
        ] {
            misheard.push((act.clone(), with(&supply, member, other)));
        }
    }
    for (member, other) in [
        ("caller", json!("user:2")),
        ("arguments", json!({ "item": "sword" })),
        ("spend_limit", json!({ "coin": 6 })),
        ("spend_limit", Value::Null),
    ] {
        misheard.push((call(state), with(&called, member, other)));
    }
    let posting = json!({ "from": "user:1", "to": "user:2", "asset": "coin", "amount": 6 });
    let postings = json!({ "postings": [posting] });
    misheard.push((transfer("user:1", "user:2", 5), postings));
    misheard
}

fn with(body: &Value, member: &str, value: Value) -> Value {
    let mut body = body.as_object().cloned().unwrap_or_default();
    body.insert(member.into(), value);
    body.into()
}

#[test]
fn what_was_decided_but_not_asked_is_found() {
    let (_folder, path, storage) = open_guild();
    send(&storage, submission(Some("k"), call(&storage.state())));
    send(
        &storage,
        submission(Some("burn"), Act::Burn(coins("user:1", 5))),
    );
    let honest = storage
        .audit(&[], &Cancel::new(), &mut |_, _| {})
        .expect("the audit runs");
    assert!(honest.ok, "{honest:#?}");

    let all = misheard(&storage.state());
    let count = all.len();
    for (n, (act, body)) in all.into_iter().enumerate() {
        let asked = submission(Some(&format!("misheard {n}")), act);
        send(
            &storage,
            Submission {
                request: Request::new("POST", "/test", &body),
                ..asked
            },
        );
    }
    let report = storage
        .audit(&[], &Cancel::new(), &mut |_, _| {})
        .expect("the audit runs");
    let explainable = report.promises.get(9).expect("ten promises");
    assert_eq!(explainable.findings.len(), count, "{report:#?}");
    storage.close();
    drop(storage);
    assert_eq!(broken(&path), [10]);
}

#[test]
fn only_a_file_of_ours_and_of_now_is_audited() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let audit = || audit_file(&path, &[], render, &mut |_, _| {}).err();
    vandalise(&path, "PRAGMA user_version = 99");
    assert!(matches!(
        audit(),
        Some(StorageError::TooNew { found: 99, .. })
    ));
    vandalise(&path, "PRAGMA application_id = 7");
    let reason = |refused: Option<StorageError>| match refused {
        Some(StorageError::NotOurs { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(audit()), ForeignFile::OtherProgram(7));
    std::fs::write(&path, "").expect("written");
    assert_eq!(reason(audit()), ForeignFile::Empty);
}

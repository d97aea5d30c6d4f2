//! One answer for each key for ever, whatever happens to the other requests of its batch.

use std::sync::Mutex;

use serde_json::Value;

use super::watched::{Step, prepare, push};
use super::*;
use crate::error::StorageError;

#[test]
fn an_answer_is_given_once_and_replayed_for_ever() {
    let (_folder, path, storage) = open_guild();
    let first = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert!(!first.replayed);
    let again = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert_eq!(
        again,
        Answer {
            replayed: true,
            ..first.clone()
        }
    );
    assert!(storage.close());
    drop(storage);

    let storage = open(&path);
    let later = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert_eq!(
        later,
        Answer {
            replayed: true,
            ..first
        }
    );
    assert_eq!(posted(&storage.state(), "user:2"), 30);
    let other = ask(&storage, Some("k"), transfer("user:1", "user:2", 31));
    assert_eq!(other, Reply::KeyReused);
    let stored = storage
        .stored(&guild(), &name("k"))
        .expect("it can be read");
    let asked = submission(Some("k"), transfer("user:1", "user:2", 31)).request;
    let differs = stored.expect("it is kept").answer_to(&asked);
    assert_eq!(differs, Err("/postings".into()));
    storage.close();
    drop(storage);
    all_promises_hold(&path);
}

#[test]
fn a_refusal_is_kept_and_disturbs_no_neighbour() {
    let (_folder, path, storage) = open_guild();
    let asked: Vec<_> = [("a", 60), ("b", 60), ("c", 40)]
        .into_iter()
        .map(|(key, amount)| {
            storage.submit(submission(Some(key), transfer("user:1", "user:2", amount)))
        })
        .map(|receiver| receiver.expect("room"))
        .collect();
    let statuses: Vec<u16> = asked
        .into_iter()
        .map(|receiver| {
            receiver
                .blocking_recv()
                .expect("an answer")
                .expect("no failure")
        })
        .map(|reply| answered(reply).status)
        .collect();
    assert_eq!(statuses, [201, 422, 201]);
    answered(ask(&storage, Some("d"), issue("user:1", 1000)));
    let refused = answered(ask(&storage, Some("b"), transfer("user:1", "user:2", 60)));
    assert_eq!((refused.status, refused.replayed), (422, true));
    storage.close();
    drop(storage);
    assert_eq!(all_promises_hold(&path).movements, 4);
}

/// Renders an outcome, but panics on the outcome of a burn.
fn render_or_panic(recorded: &ActOutcome<'_>) -> RenderedAnswer {
    assert!(
        !matches!(recorded.act, Act::Burn(_)),
        "an internal error of burning"
    );
    render(recorded)
}

/// Decides requests in one batch, and fails if the file has to be rebuilt.
fn in_one_batch(
    path: &std::path::Path,
    submissions: Vec<Submission>,
) -> Vec<Result<Reply, SubmitError>> {
    let commits = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&commits);
    let watch = move |_: &crate::commit::shared::Shared, step| {
        assert_ne!(step, Step::Reopening, "the state is rebuilt");
        *counted.lock().expect("whole") += u32::from(step == Step::Appended);
        Ok::<_, StorageError>(())
    };
    let (writer, shared) = prepare(path, render_or_panic, super::watched::pace(), watch);
    let receivers: Vec<_> = submissions
        .into_iter()
        .map(|submission| push(&shared, submission).expect("room"))
        .collect();
    shared.queue.close();
    let thread = std::thread::spawn(move || writer.run());
    assert!(thread.join().expect("the writer ends"));
    assert_eq!(*commits.lock().expect("whole"), 1);
    receivers
        .into_iter()
        .map(|receiver| receiver.blocking_recv().expect("an answer"))
        .collect()
}

#[test]
fn an_internal_error_in_one_request_disturbs_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let ten = || transfer("user:1", "user:2", 10);
    let replies = in_one_batch(
        &path,
        vec![
            submission(Some("a"), ten()),
            submission(Some("b"), Act::Burn(coins("user:1", 50))),
            submission(Some("a"), ten()),
            // The request with the internal error had no effect, so its key is free.
            submission(Some("b"), ten()),
        ],
    );
    let outcomes: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.map(answered).map(|it| (it.status, it.replayed)))
        .collect();
    assert_eq!(
        outcomes,
        [
            Ok((201, false)),
            Err(SubmitError::Bug),
            Ok((201, true)),
            Ok((201, false))
        ]
    );
    let storage = open(&path);
    assert_eq!(posted(&storage.state(), "user:1"), 80);
    assert_eq!(posted(&storage.state(), "user:2"), 20);
    storage.close();
    drop(storage);
    all_promises_hold(&path);
}

/// Returns nested arrays with this number of levels.
fn nested(depth: u32) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

fn set_metadata(depth: u32) -> Submission {
    let patch = AccountPatch {
        metadata: bursar_ledger::Patch::Set(nested(depth)),
        ..AccountPatch::default()
    };
    let body = json!({ "metadata": nested(depth) });
    let act = Act::SetAccount {
        account: name("user:1"),
        patch,
        admission: None,
    };
    Submission {
        request: Request::new("PUT", "/test", &body),
        ..submission(None, act)
    }
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    // An act has the metadata of its account three levels down, and so has a checkpoint.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let mut deep_request = submission(Some("deep"), transfer("user:1", "user:2", 10));
    let body = json!({ "metadata": nested(126) });
    deep_request.request = Request::new("POST", "/test", &body);
    let replies = in_one_batch(
        &path,
        vec![
            set_metadata(125),
            set_metadata(124),
            deep_request,
            submission(Some("k"), transfer("user:1", "user:2", 10)),
        ],
    );
    let outcomes: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.map(answered).map(|it| it.status))
        .collect();
    assert_eq!(
        outcomes,
        [
            Err(SubmitError::Bug),
            Ok(201),
            Err(SubmitError::Bug),
            Ok(201)
        ]
    );
    // The first opening starts from the earlier checkpoint, the audit from the first record.
    open(&path).close();
    let storage = open(&path);
    assert_eq!(posted(&storage.state(), "user:2"), 10);
    storage.close();
    drop(storage);
    all_promises_hold(&path);
}

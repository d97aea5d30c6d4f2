//! The cost of a request on the disk: one commit, whatever its effects.

use bursar_ledger::CallEnding;

use super::failures::send;
use super::rich;
use super::watched::{Step, pace, prepare};
use super::*;

/// A nonce that had to be on disk before its draw would be a second commit for each call of a game.
#[test]
fn a_call_that_draws_is_one_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    rich::furnish(&storage);
    drop(storage);
    let commits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commits);
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        if step == Step::Appended {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let thread = std::thread::spawn(move || writer.run());
    for number in 1..=10 {
        let key = format!("draw {number}");
        let reply = CallEnding::Replied {
            reply: json!({ "won": true }),
        };
        let call = rich::call(&shared.published.load(), &key, reply);
        assert_eq!(
            answered(send(&shared, &key, call).expect("a reply")).status,
            201
        );
        assert_eq!(commits.load(Ordering::SeqCst), number);
    }
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
}

//! Tests of submissions that are queued together, and of their replies.

use std::time::Duration;

use bursar_ledger::{Act, Timestamp};
use serde_json::Value;

use super::*;
use crate::commit::queue::{QUEUE_PER_ECONOMY_MAX, Taken};

/// Returns a submission whose act contains its number.
fn numbered(number: u64) -> Submission {
    Submission {
        economy: "guild".parse().expect("a name"),
        actor: "test".into(),
        key: None,
        request: Request::new("POST", "/test", &Value::Null),
        act: Act::SetClock {
            from: Timestamp(number),
            to: Timestamp(number),
        },
        component: None,
    }
}

fn take_all(queue: &Queue<QueuedSubmission>) -> Vec<QueuedSubmission> {
    match queue.take(u64::MAX, Duration::ZERO) {
        Taken::Batch(taken) => taken,
        Taken::Idle | Taken::Finished => panic!("there are submissions"),
    }
}

/// Returns all replies of a batch, which have arrived.
fn replies(batch: &mut SubmittedBatch) -> Vec<(usize, Result<Reply, SubmitError>)> {
    let mut all = Vec::new();
    while let Some(some) = pollster::block_on(batch.next()) {
        all.extend(some);
    }
    all
}

#[test]
fn a_batch_is_queued_in_order_up_to_the_first_rejected_submission() {
    let queue = Queue::new();
    let limit = QUEUE_PER_ECONOMY_MAX as u64;
    let submissions = (0..limit + 2).map(numbered).collect();
    let batch = SubmittedBatch::submit(&queue, submissions);
    assert_eq!(batch.queued(), QUEUE_PER_ECONOMY_MAX);
    assert_eq!(batch.failure(), Some(SubmitError::Overloaded));
    let taken = take_all(&queue);
    let acts = taken.iter().map(|queued| &queued.submission.act);
    assert!(
        acts.eq(&(0..limit)
            .map(|number| numbered(number).act)
            .collect::<Vec<_>>())
    );

    queue.close();
    let batch = SubmittedBatch::submit(&queue, vec![numbered(0)]);
    assert_eq!(batch.queued(), 0);
    assert_eq!(batch.failure(), Some(SubmitError::Unavailable));
}

#[test]
fn replies_of_a_commit_arrive_together_and_missing_ones_end_the_wait() {
    let queue = Queue::new();
    let mut first = SubmittedBatch::submit(&queue, (0..3).map(numbered).collect());
    let mut second = SubmittedBatch::submit(&queue, (3..5).map(numbered).collect());
    let single = submit(&queue, numbered(5)).expect("it is queued");
    let mut taken = take_all(&queue);
    let lost = taken.remove(1);
    send_replies(taken.into_iter().map(|queued| (queued, Ok(Reply::Stale))));
    drop(lost);
    assert_eq!(pollster::block_on(single), Ok(Ok(Reply::Stale)));
    let some = pollster::block_on(first.next());
    assert_eq!(
        some,
        Some(vec![(0, Ok(Reply::Stale)), (2, Ok(Reply::Stale))])
    );
    assert_eq!(replies(&mut first), []);
    assert_eq!(
        replies(&mut second),
        [(0, Ok(Reply::Stale)), (1, Ok(Reply::Stale))]
    );
}

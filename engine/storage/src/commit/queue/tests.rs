//! Tests of the bounds of the queue, and of the turns of economies in it.

use super::*;

fn economy(name: &str) -> EconomyId {
    name.parse().expect("a name")
}

/// Returns the weight of a request with these bytes and the least work.
fn sized(bytes: usize) -> Weight {
    Weight { bytes, work: 1 }
}

/// Returns the weight of a small request with this work.
fn of_work(work: u64) -> Weight {
    Weight { bytes: 1, work }
}

#[test]
fn economies_are_served_in_turn() {
    let queue = Queue::new();
    for (name, request) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("c", 6)] {
        queue
            .push(&economy(name), sized(1), request)
            .expect("there is room");
    }
    assert_eq!(
        queue.take(4, Duration::ZERO),
        Taken::Batch(vec![1, 4, 6, 2])
    );
    assert_eq!(queue.take(4, Duration::ZERO), Taken::Batch(vec![5, 3]));
    assert_eq!(queue.take(4, Duration::ZERO), Taken::Idle);
}

#[test]
fn one_economy_fills_its_own_line_only() {
    let queue = Queue::new();
    for request in 0..QUEUE_PER_ECONOMY_MAX {
        assert_eq!(queue.push(&economy("a"), sized(1), request), Ok(()));
    }
    assert_eq!(
        queue.push(&economy("a"), sized(1), 0),
        Err(SubmitError::Overloaded)
    );
    assert_eq!(queue.push(&economy("b"), sized(1), 0), Ok(()));
}

#[test]
fn the_whole_queue_is_bounded() {
    let queue = Queue::new();
    for request in 0..QUEUE_MAX {
        assert_eq!(
            queue.push(&economy(&format!("e{}", request % 4)), sized(1), request),
            Ok(())
        );
    }
    assert_eq!(
        queue.push(&economy("z"), sized(1), 0),
        Err(SubmitError::Overloaded)
    );
}

#[test]
fn a_closed_queue_serves_what_waits_and_then_finishes() {
    let queue = Queue::new();
    queue
        .push(&economy("a"), sized(1), 1)
        .expect("there is room");
    queue.close();
    assert_eq!(
        queue.push(&economy("a"), sized(1), 2),
        Err(SubmitError::Unavailable)
    );
    assert_eq!(queue.take(4, Duration::ZERO), Taken::Batch(vec![1]));
    assert_eq!(queue.take(4, Duration::ZERO), Taken::Finished);
}

#[test]
fn one_economys_bytes_fill_its_own_line_only() {
    let queue = Queue::new();
    let half = QUEUE_BYTES_PER_ECONOMY_MAX / 2;
    assert_eq!(queue.push(&economy("a"), sized(half), 1), Ok(()));
    assert_eq!(
        queue.push(&economy("a"), sized(half + 1), 2),
        Err(SubmitError::Overloaded)
    );
    assert_eq!(queue.push(&economy("a"), sized(half), 3), Ok(()));
    assert_eq!(
        queue.push(&economy("a"), sized(1), 4),
        Err(SubmitError::Overloaded)
    );
    assert_eq!(queue.push(&economy("b"), sized(1), 5), Ok(()));
    let taken = queue.take(9, Duration::ZERO);
    let expected = Taken::Batch(vec![1, 5, 3]);
    assert_eq!(taken, expected, "who is refused leaves nothing behind");
    let all = QUEUE_BYTES_PER_ECONOMY_MAX;
    assert_eq!(
        queue.push(&economy("a"), sized(all), 6),
        Ok(()),
        "room again"
    );
}

#[test]
fn a_batch_ends_at_its_work_but_for_a_request_that_is_more_by_itself() {
    let queue = Queue::new();
    for (work, request) in [(5, 1), (5, 2), (1, 3), (11, 4), (10, 5), (1, 6)] {
        assert_eq!(queue.push(&economy("a"), of_work(work), request), Ok(()));
    }
    let taken: Vec<_> = (0..5).map(|_| queue.take(10, Duration::ZERO)).collect();
    let expected = [vec![1, 2], vec![3], vec![4], vec![5], vec![6]].map(Taken::Batch);
    assert_eq!(taken, expected);
}

#[test]
fn a_batch_that_is_continued_stays_within_its_work() {
    let queue = Queue::new();
    for (work, request) in [(5, 1), (4, 2), (11, 3)] {
        assert_eq!(queue.push(&economy("a"), of_work(work), request), Ok(()));
    }
    assert_eq!(queue.take(5, Duration::ZERO), Taken::Batch(vec![1]));
    assert_eq!(queue.take_more(8), Vec::<u32>::new());
    assert_eq!(queue.take_more(9), [2]);
    assert_eq!(
        queue.take_more(19),
        Vec::<u32>::new(),
        "not the first of its batch"
    );
    assert_eq!(queue.take(10, Duration::ZERO), Taken::Batch(vec![3]));
}

#[test]
fn requests_beside_a_bulk_of_others_are_in_the_next_batch() {
    let queue = Queue::new();
    for number in 0..3_000 {
        assert_eq!(queue.push(&economy("bulk"), of_work(66), number), Ok(()));
    }
    queue.take(1_000, Duration::ZERO);
    for number in 0..100 {
        let request = 10_000 + number;
        assert_eq!(queue.push(&economy("small"), of_work(3), request), Ok(()));
    }
    let Taken::Batch(batch) = queue.take(1_000, Duration::ZERO) else {
        panic!("there are requests");
    };
    let small = batch.iter().filter(|request| **request >= 10_000).count();
    assert_eq!(small, 100, "{batch:?}");
    assert_eq!(batch.len() - small, 10, "what is left goes to the bulk");
}

#[test]
fn a_giant_is_followed_by_the_others_before_the_next_one() {
    let queue = Queue::new();
    queue
        .push(&economy("giant"), of_work(40_000), 1)
        .expect("room");
    assert_eq!(queue.take(1_000, Duration::ZERO), Taken::Batch(vec![1]));
    // During its commit both economies send a request, the one with large requests first.
    queue
        .push(&economy("giant"), of_work(40_000), 2)
        .expect("room");
    queue.push(&economy("small"), of_work(3), 3).expect("room");
    assert_eq!(queue.take(1_000, Duration::ZERO), Taken::Batch(vec![3]));
    assert_eq!(queue.take(1_000, Duration::ZERO), Taken::Batch(vec![2]));
}

#[test]
fn the_whole_queue_is_bounded_in_bytes() {
    let queue = Queue::new();
    let quarter = QUEUE_BYTES_MAX / 4;
    for (name, bytes) in [
        ("a", quarter),
        ("b", quarter),
        ("c", quarter),
        ("d", quarter - 1),
    ] {
        assert_eq!(queue.push(&economy(name), sized(bytes), 0), Ok(()));
    }
    assert_eq!(
        queue.push(&economy("e"), sized(2), 0),
        Err(SubmitError::Overloaded)
    );
    assert_eq!(queue.push(&economy("e"), sized(1), 0), Ok(()));
    assert_eq!(
        queue.push(&economy("f"), sized(1), 0),
        Err(SubmitError::Overloaded)
    );
}

#[test]
fn the_work_that_waits_is_bounded_in_all_and_in_each_economy() {
    let queue = Queue::new();
    let most = QUEUE_WORK_PER_ECONOMY_MAX;
    assert_eq!(queue.push(&economy("a"), of_work(most - 1), 0), Ok(()));
    let beyond = queue.push(&economy("a"), of_work(2), 0);
    assert_eq!(beyond, Err(SubmitError::Overloaded));
    assert_eq!(queue.push(&economy("a"), of_work(1), 0), Ok(()));
    let rest = QUEUE_WORK_MAX - most;
    assert_eq!(queue.push(&economy("b"), of_work(rest - 1), 0), Ok(()));
    let beyond = queue.push(&economy("c"), of_work(2), 0);
    assert_eq!(beyond, Err(SubmitError::Overloaded));
    assert_eq!(queue.push(&economy("c"), of_work(1), 0), Ok(()));
    assert!(matches!(queue.take(most, Duration::ZERO), Taken::Batch(_)));
    assert_eq!(
        queue.push(&economy("c"), of_work(2), 0),
        Ok(()),
        "room again"
    );
}

//! The bounded queue before the writer: bounded in all and per economy, and served in turn, so that
//! one busy community cannot make the others wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bursar_ledger::EconomyId;

use crate::error::Failure;

/// Requests that may wait, of all economies together.
pub const QUEUE_MAX: usize = 16_384;

/// Requests that may wait in one economy.
pub const QUEUE_PER_ECONOMY_MAX: usize = 8_192;

/// Requests that wait for the writer.
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    economies: BTreeMap<EconomyId, VecDeque<T>>,
    /// Whose turn it is, in order; each economy that waits is here once.
    turns: VecDeque<EconomyId>,
    count: usize,
    gate: Gate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Requests come in.
    Open,
    /// Nothing comes in for now: the state is being rebuilt.
    Shut,
    /// Nothing comes in any more; what waits is still served.
    Closed,
}

/// What the writer found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// Some requests, in the order in which they are to be served.
    Batch(Vec<T>),
    /// Nothing within the time given.
    Idle,
    /// Nothing, and nothing will ever come.
    Finished,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let waiting = Waiting {
            economies: BTreeMap::new(),
            turns: VecDeque::new(),
            count: 0,
            gate: Gate::Open,
        };
        Self {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // A panic elsewhere leaves the queue whole: every change to it is one short section.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request wait, if there is room.
    pub(crate) fn push(&self, economy: &EconomyId, request: T) -> Result<(), Failure> {
        let mut waiting = self.lock();
        if waiting.gate != Gate::Open {
            return Err(Failure::Unavailable);
        }
        if waiting.count >= QUEUE_MAX {
            return Err(Failure::Overloaded);
        }
        if !waiting.economies.contains_key(economy) {
            waiting.economies.insert(economy.clone(), VecDeque::new());
            waiting.turns.push_back(economy.clone());
        }
        let line = waiting
            .economies
            .get_mut(economy)
            .ok_or(Failure::Overloaded)?;
        if line.len() >= QUEUE_PER_ECONOMY_MAX {
            return Err(Failure::Overloaded);
        }
        line.push_back(request);
        waiting.count += 1;
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes up to `most` requests, one of each economy in turn; waits for the first.
    pub(crate) fn take(&self, most: usize, patience: Duration) -> Taken<T> {
        let mut waiting = self.lock();
        if waiting.count == 0 && waiting.gate != Gate::Closed {
            let idle =
                |waiting: &mut Waiting<T>| waiting.count == 0 && waiting.gate != Gate::Closed;
            waiting = self
                .changed
                .wait_timeout_while(waiting, patience, idle)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(waiting, _)| waiting);
        }
        let batch = waiting.take(most);
        match (batch.is_empty(), waiting.gate) {
            (false, _) => Taken::Batch(batch),
            (true, Gate::Closed) => Taken::Finished,
            (true, Gate::Open | Gate::Shut) => Taken::Idle,
        }
    }

    /// Shuts the gate and takes out everything that waits.
    pub(crate) fn shut(&self) -> Vec<T> {
        let mut waiting = self.lock();
        if waiting.gate == Gate::Open {
            waiting.gate = Gate::Shut;
        }
        waiting.take(usize::MAX)
    }

    /// Opens the gate again.
    pub(crate) fn reopen(&self) {
        let mut waiting = self.lock();
        if waiting.gate == Gate::Shut {
            waiting.gate = Gate::Open;
        }
    }

    /// Lets nothing in any more.
    pub(crate) fn close(&self) {
        self.lock().gate = Gate::Closed;
        self.changed.notify_all();
    }

    /// Whether requests come in.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().gate == Gate::Open
    }
}

impl<T> Waiting<T> {
    fn take(&mut self, most: usize) -> Vec<T> {
        let mut batch = Vec::with_capacity(self.count.min(most));
        while batch.len() < most {
            let Some(economy) = self.turns.pop_front() else {
                break;
            };
            let line = self.economies.entry(economy.clone()).or_default();
            batch.extend(line.pop_front());
            if line.is_empty() {
                self.economies.remove(&economy);
            } else {
                self.turns.push_back(economy);
            }
        }
        self.count -= batch.len();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn economy(name: &str) -> EconomyId {
        name.parse().expect("a name")
    }

    #[test]
    fn economies_are_served_in_turn() {
        let queue = Queue::new();
        for (name, request) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("c", 6)] {
            queue.push(&economy(name), request).expect("there is room");
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
            assert_eq!(queue.push(&economy("a"), request), Ok(()));
        }
        assert_eq!(queue.push(&economy("a"), 0), Err(Failure::Overloaded));
        assert_eq!(queue.push(&economy("b"), 0), Ok(()));
    }

    #[test]
    fn the_whole_queue_is_bounded() {
        let queue = Queue::new();
        for request in 0..QUEUE_MAX {
            assert_eq!(
                queue.push(&economy(&format!("e{}", request % 4)), request),
                Ok(())
            );
        }
        assert_eq!(queue.push(&economy("z"), 0), Err(Failure::Overloaded));
    }

    #[test]
    fn a_closed_queue_serves_what_waits_and_then_finishes() {
        let queue = Queue::new();
        queue.push(&economy("a"), 1).expect("there is room");
        queue.close();
        assert_eq!(queue.push(&economy("a"), 2), Err(Failure::Unavailable));
        assert_eq!(queue.take(4, Duration::ZERO), Taken::Batch(vec![1]));
        assert_eq!(queue.take(4, Duration::ZERO), Taken::Finished);
    }
}

//! The queue of the writer. It has limits on requests, bytes and work, in total and for each economy.
//! Economies take turns by their work, so that a busy economy does not delay the others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bursar_ledger::EconomyId;

use crate::commit::fair_order::Turns;
use crate::error::SubmitError;

/// The largest number of waiting requests of all economies together.
pub const QUEUE_MAX: usize = 16_384;

/// The largest number of waiting requests of one economy.
pub const QUEUE_PER_ECONOMY_MAX: usize = 8_192;

/// The most bytes of waiting requests of all economies together. Small requests reach the limit on their
/// number first; this limit is for large bodies and uploads.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// The most bytes of waiting requests of one economy. The largest upload is smaller.
pub const QUEUE_BYTES_PER_ECONOMY_MAX: usize = 32 << 20;

/// The most work of waiting requests of all economies together: about five seconds, so that clients still
/// wait for the answers to accepted requests.
pub const QUEUE_WORK_MAX: u64 = 512 << 10;

/// The most work of waiting requests of one economy. The largest atomic batch has less.
pub const QUEUE_WORK_PER_ECONOMY_MAX: u64 = 256 << 10;

/// The memory of a waiting request, and the work of deciding it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weight {
    /// The bytes that it occupies in memory.
    pub(crate) bytes: usize,
    /// The work of the writer.
    pub(crate) work: u64,
}

/// The requests that wait for the writer.
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    economies: BTreeMap<EconomyId, Line<T>>,
    /// The turns of the economies. Each economy with waiting requests has one.
    turns: Turns,
    count: usize,
    bytes: usize,
    work: u64,
    /// The work of the batch that was taken last.
    taken: u64,
    gate: Gate,
}

/// The requests that wait in one economy, each with its weight.
struct Line<T> {
    requests: VecDeque<(Weight, T)>,
    bytes: usize,
    work: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Requests are accepted.
    Open,
    /// Requests are rejected while the state is rebuilt.
    Shut,
    /// New requests are rejected until the process ends. Those that wait are still decided.
    Closed,
}

/// The result of taking requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// Some requests, in the order in which they are decided.
    Batch(Vec<T>),
    /// No request within the given time.
    Idle,
    /// The queue is empty and closed.
    Finished,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let waiting = Waiting {
            economies: BTreeMap::new(),
            turns: Turns::default(),
            count: 0,
            bytes: 0,
            work: 0,
            taken: 0,
            gate: Gate::Open,
        };
        Self {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // Each change of the queue is one short section that cannot stop halfway, so a poisoned queue is
        // still valid.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request if there is room.
    pub(crate) fn push(
        &self,
        economy: &EconomyId,
        weight: Weight,
        request: T,
    ) -> Result<(), SubmitError> {
        self.lock().push(economy, weight, request)?;
        self.changed.notify_one();
        Ok(())
    }

    /// Adds requests in their order under one lock, up to the first one that is refused. Returns the number of added
    /// requests, and the reason if not all were added.
    pub(crate) fn push_all(
        &self,
        requests: impl IntoIterator<Item = (EconomyId, Weight, T)>,
    ) -> (usize, Option<SubmitError>) {
        let mut waiting = self.lock();
        let before = waiting.count;
        let mut requests = requests.into_iter();
        let failure = requests
            .find_map(|(economy, weight, request)| waiting.push(&economy, weight, request).err());
        let added = waiting.count.saturating_sub(before);
        drop(waiting);
        self.changed.notify_one();
        (added, failure)
    }

    /// Takes requests with a total work of up to `work_max`, or a single one with more. Economies take turns.
    /// Waits for the first request up to `patience`.
    pub(crate) fn take(&self, work_max: u64, patience: Duration) -> Taken<T> {
        let mut waiting = self.lock();
        waiting.turns.catch_up();
        if waiting.count == 0 && waiting.gate != Gate::Closed {
            let idle =
                |waiting: &mut Waiting<T>| waiting.count == 0 && waiting.gate != Gate::Closed;
            waiting = self
                .changed
                .wait_timeout_while(waiting, patience, idle)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(waiting, _)| waiting);
        }
        let batch = waiting.take(work_max, true);
        match (batch.is_empty(), waiting.gate) {
            (false, _) => Taken::Batch(batch),
            (true, Gate::Closed) => Taken::Finished,
            (true, Gate::Open | Gate::Shut) => Taken::Idle,
        }
    }

    /// Takes further requests for the batch that was taken last. The total work of that batch does not exceed
    /// `work_max`, unless a single request does. Does not wait.
    pub(crate) fn take_more(&self, work_max: u64) -> Vec<T> {
        self.lock().take(work_max, false)
    }

    /// Rejects new requests until [`Queue::reopen`], and takes all waiting ones.
    pub(crate) fn shut(&self) -> Vec<T> {
        let mut waiting = self.lock();
        if waiting.gate == Gate::Open {
            waiting.gate = Gate::Shut;
        }
        waiting.take(u64::MAX, true)
    }

    /// Accepts requests again, unless the queue is closed.
    pub(crate) fn reopen(&self) {
        let mut waiting = self.lock();
        if waiting.gate == Gate::Shut {
            waiting.gate = Gate::Open;
        }
    }

    /// Waits for a time, or until the queue is closed. Returns true if it is closed.
    pub(crate) fn rest(&self, pause: Duration) -> bool {
        let goes_on = |waiting: &mut Waiting<T>| waiting.gate != Gate::Closed;
        let waiting = self
            .changed
            .wait_timeout_while(self.lock(), pause, goes_on)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(waiting, _)| waiting);
        waiting.gate == Gate::Closed
    }

    /// Rejects all later requests. Those that wait are still decided.
    pub(crate) fn close(&self) {
        self.lock().gate = Gate::Closed;
        self.changed.notify_all();
    }

    /// Returns true if requests are accepted.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().gate == Gate::Open
    }
}

impl<T> Waiting<T> {
    fn push(&mut self, economy: &EconomyId, weight: Weight, request: T) -> Result<(), SubmitError> {
        if self.gate != Gate::Open {
            return Err(SubmitError::Unavailable);
        }
        if !self.has_room(economy, weight) {
            return Err(SubmitError::Overloaded);
        }
        self.add(economy, weight, request);
        Ok(())
    }

    /// Returns true if a request fits into the limits of the queue and those of its economy.
    fn has_room(&self, economy: &EconomyId, weight: Weight) -> bool {
        let line = self.economies.get(economy);
        let (requests, bytes, work) = line.map_or((0, 0, 0), |line| {
            (line.requests.len(), line.bytes, line.work)
        });
        let fits = |held: usize, most: usize| most.saturating_sub(held) >= weight.bytes;
        let fits_work = |held: u64, most: u64| most.saturating_sub(held) >= weight.work;
        self.count < QUEUE_MAX
            && requests < QUEUE_PER_ECONOMY_MAX
            && fits(self.bytes, QUEUE_BYTES_MAX)
            && fits(bytes, QUEUE_BYTES_PER_ECONOMY_MAX)
            && fits_work(self.work, QUEUE_WORK_MAX)
            && fits_work(work, QUEUE_WORK_PER_ECONOMY_MAX)
    }

    fn add(&mut self, economy: &EconomyId, weight: Weight, request: T) {
        if !self.economies.contains_key(economy) {
            self.turns.join(economy.clone());
        }
        let line = self.economies.entry(economy.clone()).or_default();
        line.requests.push_back((weight, request));
        line.bytes += weight.bytes;
        line.work += weight.work;
        self.count += 1;
        self.bytes += weight.bytes;
        self.work += weight.work;
    }

    /// Takes requests with a total work of up to `work_max`. The first of a batch may have more.
    fn take(&mut self, work_max: u64, is_first: bool) -> Vec<T> {
        let mut batch = Vec::new();
        if is_first {
            self.taken = 0;
        }
        while let Some(economy) = self.turns.first().cloned() {
            let has_all_turns = self.turns.has_one();
            let line = self.economies.entry(economy.clone()).or_default();
            let mut before = 0;
            let mut last = None;
            loop {
                let work = line.requests.front().map_or(0, |(weight, _)| weight.work);
                let may_exceed = is_first && batch.is_empty();
                if !may_exceed && self.taken.saturating_add(work) > work_max {
                    break;
                }
                let Some((weight, request)) = line.requests.pop_front() else {
                    break;
                };
                batch.push(request);
                line.bytes -= weight.bytes;
                line.work -= weight.work;
                self.bytes -= weight.bytes;
                self.work -= weight.work;
                self.taken = self.taken.saturating_add(work);
                if let Some(served) = last.replace(work) {
                    before += served.max(1);
                }
                if !has_all_turns {
                    break;
                }
            }
            let Some(last) = last else {
                break;
            };
            let waits = !line.requests.is_empty();
            if !waits {
                self.economies.remove(&economy);
            }
            self.turns.served(before, last, waits);
        }
        self.count -= batch.len();
        batch
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            requests: VecDeque::new(),
            bytes: 0,
            work: 0,
        }
    }
}

#[cfg(test)]
mod tests;

//! Admission of event streams: a limit for the whole server, and a quota for each economy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Books, EconomyId, Quota, Rejection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use crate::service::error::ServiceError;

/// The greatest number of open streams of all economies together.
const STREAMS_MAX: usize = 256;

type StreamCounts = HashMap<EconomyId, u64>;

/// The open event streams of the server.
pub(super) struct Streams {
    all: Arc<Semaphore>,
    open: Arc<Mutex<StreamCounts>>,
}

/// The permit of one event stream. Dropping it releases the stream's place.
pub(super) struct StreamPlace {
    economy: EconomyId,
    open: Arc<Mutex<StreamCounts>>,
    _of_all: OwnedSemaphorePermit,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(STREAMS_MAX)),
            open: Arc::default(),
        }
    }

    /// Admits a stream of an economy, unless its quota or the server's limit is reached.
    pub(super) fn enter(&self, economy: &EconomyId, books: &Books) -> Result<StreamPlace, Problem> {
        let limit = books.quota(Quota::Streams);
        let mut open = lock(&self.open);
        let used = open.get(economy).copied().unwrap_or(0);
        if used >= limit {
            let quota = Quota::Streams;
            let full = Rejection::QuotaReached { quota, limit, used };
            return Err(Problem::rejected(&full));
        }
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| ServiceError::TooManyStreams)?;
        open.insert(economy.clone(), used.saturating_add(1));
        Ok(StreamPlace {
            economy: economy.clone(),
            open: Arc::clone(&self.open),
            _of_all: of_all,
        })
    }

    /// Returns the number of open streams of an economy.
    pub(super) fn used(&self, economy: &EconomyId) -> u64 {
        lock(&self.open).get(economy).copied().unwrap_or(0)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        let left = open
            .get(&self.economy)
            .copied()
            .unwrap_or(0)
            .saturating_sub(1);
        // The map must not grow with economies that have no open streams.
        if left == 0 {
            open.remove(&self.economy);
        } else {
            open.insert(self.economy.clone(), left);
        }
    }
}

fn lock(counts: &Mutex<StreamCounts>) -> MutexGuard<'_, StreamCounts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bursar_ledger::{STREAMS_QUOTA, Seed, Timestamp};

    use super::*;

    fn economy(number: usize) -> EconomyId {
        format!("guild-{number}").parse().expect("a name")
    }

    #[test]
    fn streams_are_bounded_by_quota_and_in_total() {
        let books = Books::new(Seed::new([1; 32]), Timestamp(0));
        let streams = Streams::new();
        let quota = STREAMS_QUOTA;
        let first = economy(0);
        let enter = |economy: &EconomyId| streams.enter(economy, &books);
        let refused = |economy: &EconomyId| {
            let refused = enter(economy).err().expect("it is full");
            refused.code().to_owned()
        };
        let mut places: Vec<StreamPlace> = Vec::new();
        for _ in 0..quota {
            places.push(enter(&first).expect("a place"));
        }
        assert_eq!(
            (streams.used(&first), refused(&first)),
            (quota, "quota_reached".into())
        );
        places.pop();
        assert_eq!(streams.used(&first), quota - 1);
        places.push(enter(&first).expect("a place that was given back"));

        for number in places.len()..STREAMS_MAX {
            places.push(enter(&economy(number)).expect("a place"));
        }
        assert_eq!(refused(&economy(STREAMS_MAX)), "overloaded");
        places.clear();
        assert!(lock(&streams.open).is_empty(), "nothing is left behind");
        assert!(enter(&first).is_ok());
    }
}

//! The gathering of requests before a commit.
//!
//! Clients whose answers were just sent send their next requests within microseconds, and a larger batch shares one
//! sync. Yielding lets them run; a sleep would be too long for a client that is alone.

use std::time::Duration;

/// The number of times that the writer lets other threads run before it commits.
const GATHER_YIELDS: u32 = 8;

/// The longest time that it gathers requests.
const GATHER_TIME: Duration = Duration::from_micros(50);

/// The bounds of the gathering of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    /// The number of times that other threads run.
    yields: u32,
    /// The time from which they do not run any more.
    time: Duration,
}

impl Gathering {
    /// Returns the bounds of a real server.
    pub(crate) fn standard() -> Self {
        Self {
            yields: GATHER_YIELDS,
            time: GATHER_TIME,
        }
    }

    /// Returns bounds within which nothing is gathered, so that tests know the requests of each batch.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            yields: 0,
            time: Duration::ZERO,
        }
    }

    /// Adds requests to a batch until none has come. `elapsed` returns the time since the first call; `more` lets other
    /// threads run, and returns the requests that have come.
    pub(crate) fn gather<T>(
        self,
        batch: &mut Vec<T>,
        elapsed: impl Fn() -> Duration,
        mut more: impl FnMut() -> Vec<T>,
    ) {
        for _ in 0..self.yields {
            if elapsed() >= self.time {
                return;
            }
            let some = more();
            if some.is_empty() {
                return;
            }
            batch.extend(some);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers one request at a time, of which so many come, while the clock shows the same time.
    fn gathered(coming: u32, elapsed: Duration) -> u32 {
        let mut batch = Vec::new();
        let mut coming = 0..coming;
        let more = || coming.next().into_iter().collect();
        Gathering::standard().gather(&mut batch, || elapsed, more);
        u32::try_from(batch.len()).expect("few")
    }

    #[test]
    fn other_threads_run_so_many_times_before_a_commit() {
        assert_eq!(
            gathered(GATHER_YIELDS - 1, Duration::ZERO),
            GATHER_YIELDS - 1
        );
        assert_eq!(gathered(GATHER_YIELDS, Duration::ZERO), GATHER_YIELDS);
        assert_eq!(gathered(GATHER_YIELDS + 1, Duration::ZERO), GATHER_YIELDS);
    }

    #[test]
    fn requests_are_gathered_for_so_long() {
        let last = GATHER_TIME.saturating_sub(Duration::from_nanos(1));
        assert_eq!(gathered(2, last), 2);
        assert_eq!(gathered(2, GATHER_TIME), 0);
    }

    #[test]
    fn gathering_ends_when_no_request_has_come() {
        let mut turns = 0;
        let more = || {
            turns += 1;
            Vec::<u8>::new()
        };
        Gathering::standard().gather(&mut Vec::new(), || Duration::ZERO, more);
        assert_eq!(turns, 1);
    }
}

//! The circuit breaker that all calls of a service share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{Breaker, CallEnd, Trip};
use crate::random;

/// The circuit breaker of a service, with its clock.
pub(super) struct SharedBreaker {
    breaker: Mutex<Breaker>,
    began: Instant,
}

impl SharedBreaker {
    /// Creates a breaker for calls with a deadline.
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(random::bytes(), deadline)),
            began: Instant::now(),
        }
    }

    /// Counts the end of a call.
    pub(super) fn count(&self, end: CallEnd) -> Option<Trip> {
        // A panic cannot leave the counts half changed, so a poisoned lock is still valid.
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.count(end, self.began.elapsed())
    }
}

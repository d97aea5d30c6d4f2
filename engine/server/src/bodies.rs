//! Limits on the memory for bodies of requests.
//!
//! A body is admitted before it is read, up to a total of bytes and a share of each economy. A body that does not fit
//! waits in order of arrival and is rejected after a while. Small bodies have a pool of their own, so that large ones
//! do not delay them.
//!
//! A body holds its bytes until its request has a response. Each byte costs at most [`BODY_WEIGHT`] bytes of memory
//! meanwhile, so the total bounds the memory for bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar_ledger::EconomyId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::admission::{Admission, AdmissionBounds, Permit};
use crate::service::blocking;
use crate::service::error::ServiceError;

/// The most bytes of memory for each byte of a body while its request is handled: the body, the parsed values, the
/// acts, and their canonical texts.
pub const BODY_WEIGHT: usize = 8;

/// The largest size of a small body in bytes.
pub const SMALL_BODY_BYTES_MAX: usize = 64 << 10;

/// The limits on bodies at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyBounds {
    /// The pool of small bodies.
    pub small: PoolBounds,
    /// The pool of all other bodies.
    pub large: PoolBounds,
    /// The longest wait of a body to be admitted.
    pub patience: Duration,
    /// The most large bodies that are parsed at the same time, each on a thread of its own.
    pub at_work: usize,
}

/// The limits of one pool of bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolBounds {
    /// The most bytes of all economies together.
    pub bytes: usize,
    /// The most bytes of one economy. A larger body takes the whole share of its economy.
    pub bytes_per_economy: usize,
    /// The most bodies that wait to be admitted.
    pub waiting: usize,
    /// The most bodies of one economy that wait to be admitted.
    pub waiting_per_economy: usize,
}

impl BodyBounds {
    /// Returns the limits of a server: 48 MiB of bodies, which cost at most 384 MiB of memory.
    pub const fn standard() -> Self {
        Self {
            small: PoolBounds {
                bytes: 16 << 20,
                bytes_per_economy: 4 << 20,
                waiting: 1_024,
                waiting_per_economy: 512,
            },
            large: PoolBounds {
                bytes: 32 << 20,
                bytes_per_economy: 16 << 20,
                waiting: 64,
                waiting_per_economy: 16,
            },
            patience: Duration::from_secs(5),
            at_work: 2,
        }
    }
}

/// Admits bodies within their limits.
pub struct BodyLimiter {
    small: Pool,
    large: Pool,
    patience: Duration,
    at_work: Arc<Semaphore>,
    count: Arc<ByteCount>,
}

/// The number of admitted bytes, and its maximum so far.
#[derive(Default)]
struct ByteCount {
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// The bytes of one kind of bodies.
struct Pool {
    bytes_max: usize,
    admission: Admission<EconomyId>,
}

/// The admission of a body. Its bytes are released when this is dropped.
pub struct BodyPermit {
    bytes: usize,
    count: Arc<ByteCount>,
    _permit: Permit<EconomyId>,
}

impl BodyLimiter {
    /// Creates pools with limits.
    pub fn new(bounds: BodyBounds) -> Self {
        Self {
            small: Pool::new(bounds.small),
            large: Pool::new(bounds.large),
            patience: bounds.patience,
            at_work: Arc::new(Semaphore::new(bounds.at_work)),
            count: Arc::default(),
        }
    }

    /// Returns the number of bytes that are admitted now.
    pub fn held(&self) -> usize {
        self.count.held.load(Ordering::Relaxed)
    }

    /// Returns the most bytes that were admitted at any time.
    pub fn peak(&self) -> usize {
        self.count.peak.load(Ordering::Relaxed)
    }

    /// Admits a body of an economy if it need not wait.
    pub fn try_admit(&self, economy: &EconomyId, bytes: usize) -> Option<BodyPermit> {
        let pool = self.pool(bytes);
        let permit = pool.admission.try_acquire(economy, pool.units(bytes));
        Some(self.count(bytes, permit.ok()?))
    }

    /// Waits until a body of an economy is admitted. Returns none after the longest wait, or if too many bodies wait.
    pub async fn admit(&self, economy: &EconomyId, bytes: usize) -> Option<BodyPermit> {
        let pool = self.pool(bytes);
        let permit = pool.admission.acquire(economy, pool.units(bytes));
        let permit = timeout(self.patience, permit).await.ok()?;
        Some(self.count(bytes, permit.ok()?))
    }

    fn pool(&self, bytes: usize) -> &Pool {
        if bytes <= SMALL_BODY_BYTES_MAX {
            &self.small
        } else {
            &self.large
        }
    }

    fn count(&self, bytes: usize, permit: Permit<EconomyId>) -> BodyPermit {
        let held = self.count.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.count.peak.fetch_max(held, Ordering::Relaxed);
        BodyPermit {
            bytes,
            count: Arc::clone(&self.count),
            _permit: permit,
        }
    }

    /// Runs work on a body of `bytes` bytes. For a large body it runs on a blocking thread, and only a few run at the
    /// same time.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if bytes <= SMALL_BODY_BYTES_MAX {
            return Ok(work());
        }
        let permit = Arc::clone(&self.at_work).acquire_owned().await;
        blocking(move || {
            // The work holds the permit, since it goes on if the request is cancelled.
            let _permit = permit;
            work()
        })
        .await
    }
}

impl Pool {
    fn new(bounds: PoolBounds) -> Self {
        let admission = Admission::new(AdmissionBounds {
            waiting: bounds.waiting,
            waiting_per_key: bounds.waiting_per_economy,
            ..AdmissionBounds::new(bounds.bytes, bounds.bytes_per_economy)
        });
        Self {
            bytes_max: bounds.bytes.min(bounds.bytes_per_economy),
            admission,
        }
    }

    /// Returns the units of a body. A body that is larger than the share of an economy takes all of it.
    fn units(&self, bytes: usize) -> usize {
        bytes.min(self.bytes_max)
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        self.count.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(waiting: usize) -> BodyLimiter {
        let pool = |bytes| PoolBounds {
            bytes,
            bytes_per_economy: bytes / 2,
            waiting,
            waiting_per_economy: waiting,
        };
        BodyLimiter::new(BodyBounds {
            small: pool(4 * SMALL_BODY_BYTES_MAX),
            large: pool(4 << 20),
            patience: Duration::from_millis(1),
            at_work: 1,
        })
    }

    fn economy(name: &str) -> EconomyId {
        name.parse().expect("a name")
    }

    #[tokio::test]
    async fn bodies_are_bounded_in_total_and_by_economy() {
        let bodies = bodies(8);
        let half = 2 << 20;
        let first = bodies.admit(&economy("a"), half).await;
        assert!(first.is_some());
        let more = SMALL_BODY_BYTES_MAX + 1;
        assert!(
            bodies.admit(&economy("a"), more).await.is_none(),
            "its share"
        );
        let second = bodies.admit(&economy("b"), half).await;
        assert!(second.is_some(), "the other half");
        assert!(bodies.admit(&economy("c"), more).await.is_none(), "the sum");
        assert_eq!((bodies.held(), bodies.peak()), (2 * half, 2 * half));
        drop(first);
        assert!(bodies.admit(&economy("c"), half).await.is_some());
        drop(second);
        assert_eq!((bodies.held(), bodies.peak()), (0, 2 * half));
    }

    #[tokio::test]
    async fn small_bodies_are_admitted_while_large_ones_use_all_memory() {
        let bodies = bodies(8);
        let _large = [
            bodies
                .admit(&economy("a"), 2 << 20)
                .await
                .expect("it is admitted"),
            bodies
                .admit(&economy("b"), 2 << 20)
                .await
                .expect("it is admitted"),
        ];
        let small = bodies.admit(&economy("a"), SMALL_BODY_BYTES_MAX).await;
        assert!(small.is_some());
        let large = bodies.admit(&economy("a"), SMALL_BODY_BYTES_MAX + 1).await;
        assert!(large.is_none(), "one byte more is no small body");
    }

    #[tokio::test]
    async fn a_body_larger_than_the_share_of_its_economy_takes_the_whole_share() {
        let bodies = bodies(8);
        let whole = bodies
            .admit(&economy("a"), 4 << 20)
            .await
            .expect("it is admitted");
        assert!(bodies.admit(&economy("a"), 1 << 20).await.is_none());
        drop(whole);
        assert!(bodies.admit(&economy("a"), 1 << 20).await.is_some());
    }

    #[tokio::test]
    async fn a_few_bodies_wait_and_are_admitted_in_order() {
        let bodies = Arc::new(BodyLimiter {
            patience: Duration::from_mins(1),
            ..bodies(1)
        });
        let first = bodies
            .admit(&economy("a"), 2 << 20)
            .await
            .expect("it is admitted");
        let waiting = tokio::spawn({
            let bodies = Arc::clone(&bodies);
            async move { bodies.admit(&economy("a"), 2 << 20).await.is_some() }
        });
        while bodies.large.admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        let beyond = bodies.admit(&economy("a"), 2 << 20).await;
        assert!(beyond.is_none(), "one too many waits");
        drop(first);
        assert!(waiting.await.expect("it is admitted"));
    }
}

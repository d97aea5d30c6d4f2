//! Memory for the bodies of requests: bytes are admitted before they are read, up to a sum in all and
//! to a share of each economy. What finds no room waits for a while, in order of arrival, and is then
//! turned away. Small bodies have room of their own, so that no large one holds them up.
//!
//! A body is admitted until its request has its answer. At its worst it costs [`BODY_WEIGHT`] bytes of
//! memory for each of its own meanwhile, which makes the sum a figure that can be stated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar_ledger::EconomyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::keyed_locks::{KeyedGuard, KeyedLocks};
use crate::service::blocking;
use crate::service::error::ServiceError;

/// Bytes of memory that a byte of a body costs at most while its request is under way: the body, what
/// was read from it, the acts made of it, and their canonical texts.
pub const BODY_WEIGHT: usize = 8;

/// Bytes of a body that counts as small.
pub const SMALL_BODY_BYTES_MAX: usize = 64 << 10;

/// The most bytes of bodies at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyBounds {
    /// Small bodies.
    pub small: PoolBounds,
    /// All others.
    pub large: PoolBounds,
    /// The longest wait of a body for room.
    pub patience: Duration,
    /// Large bodies that are worked on at the same time, each on a thread of its own.
    pub at_work: usize,
}

/// The most bytes of one kind of bodies at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolBounds {
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes of one economy. A body that is larger takes its economy's whole share.
    pub bytes_per_economy: usize,
    /// Bodies that may wait for room.
    pub waiting: usize,
    /// Bodies of one economy that may wait for room.
    pub waiting_per_economy: usize,
}

impl BodyBounds {
    /// The bounds of a server: 48 MiB of bodies, which cost 384 MiB of memory at their worst.
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

/// Room for bodies.
pub struct BodyLimiter {
    small: Pool,
    large: Pool,
    patience: Duration,
    at_work: Arc<Semaphore>,
    count: Arc<Count>,
}

/// Bytes that are admitted now, and the most that ever were.
#[derive(Default)]
struct Count {
    held: AtomicUsize,
    peak: AtomicUsize,
}

struct Pool {
    bounds: PoolBounds,
    all: Arc<Semaphore>,
    shares: KeyedLocks<EconomyId>,
    waiting: Arc<Semaphore>,
    waiting_of: KeyedLocks<EconomyId>,
}

/// Room for one body. It is free again when this is dropped.
pub struct BodyPermit {
    bytes: usize,
    count: Arc<Count>,
    _in_all: OwnedSemaphorePermit,
    _of_economy: KeyedGuard<EconomyId>,
}

impl BodyLimiter {
    /// So much room.
    pub fn new(bounds: BodyBounds) -> Self {
        Self {
            small: Pool::new(bounds.small),
            large: Pool::new(bounds.large),
            patience: bounds.patience,
            at_work: Arc::new(Semaphore::new(bounds.at_work)),
            count: Arc::default(),
        }
    }

    /// Bytes of bodies that are admitted now.
    pub fn held(&self) -> usize {
        self.count.held.load(Ordering::SeqCst)
    }

    /// The most bytes that were admitted at any moment.
    pub fn peak(&self) -> usize {
        self.count.peak.load(Ordering::SeqCst)
    }

    /// Waits for room for a body of an economy's; none if there is none in time, or if too many wait.
    pub async fn admit(&self, economy: &EconomyId, bytes: usize) -> Option<BodyPermit> {
        let small = bytes <= SMALL_BODY_BYTES_MAX;
        let pool = if small { &self.small } else { &self.large };
        let room = timeout(self.patience, pool.enter(economy, bytes));
        let (in_all, of_economy) = room.await.ok()??;
        let held = self.count.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.count.peak.fetch_max(held, Ordering::SeqCst);
        Some(BodyPermit {
            bytes,
            count: Arc::clone(&self.count),
            _in_all: in_all,
            _of_economy: of_economy,
        })
    }

    /// Works on what came of a body of so many bytes: if that may take long, on a thread where it holds
    /// nobody up, and few at a time.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if bytes <= SMALL_BODY_BYTES_MAX {
            return Ok(work());
        }
        let place = Arc::clone(&self.at_work).acquire_owned().await;
        blocking(move || {
            // However long it takes, and whether or not anybody still waits for it.
            let _place = place;
            work()
        })
        .await
    }
}

impl Pool {
    fn new(bounds: PoolBounds) -> Self {
        Self {
            all: Arc::new(Semaphore::new(bounds.bytes)),
            shares: KeyedLocks::new(bounds.bytes_per_economy),
            waiting: Arc::new(Semaphore::new(bounds.waiting)),
            waiting_of: KeyedLocks::new(bounds.waiting_per_economy),
            bounds,
        }
    }

    async fn enter(
        &self,
        economy: &EconomyId,
        bytes: usize,
    ) -> Option<(OwnedSemaphorePermit, KeyedGuard<EconomyId>)> {
        let _waits = Arc::clone(&self.waiting).try_acquire_owned().ok()?;
        let _waits_of = self.waiting_of.try_enter(economy.clone())?;
        let permits = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        // First the share: whoever waits for that takes nothing from the others.
        let share = permits(bytes.min(self.bounds.bytes_per_economy));
        let of_economy = self.shares.enter_many(economy.clone(), share).await;
        let in_all = permits(bytes.min(self.bounds.bytes));
        let in_all = Arc::clone(&self.all).acquire_many_owned(in_all).await;
        Some((in_all.ok()?, of_economy))
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        self.count.held.fetch_sub(self.bytes, Ordering::SeqCst);
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
    async fn bodies_end_at_their_sum_and_at_their_economys_share() {
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
    async fn small_bodies_have_room_beside_any_number_of_large_ones() {
        let bodies = bodies(8);
        let _large = [
            bodies.admit(&economy("a"), 2 << 20).await.expect("room"),
            bodies.admit(&economy("b"), 2 << 20).await.expect("room"),
        ];
        let small = bodies.admit(&economy("a"), SMALL_BODY_BYTES_MAX).await;
        assert!(small.is_some());
        let large = bodies.admit(&economy("a"), SMALL_BODY_BYTES_MAX + 1).await;
        assert!(large.is_none(), "one byte more is no small body");
    }

    #[tokio::test]
    async fn a_body_larger_than_its_economys_share_takes_all_of_it() {
        let bodies = bodies(8);
        let whole = bodies.admit(&economy("a"), 4 << 20).await.expect("room");
        assert!(bodies.admit(&economy("a"), 1 << 20).await.is_none());
        drop(whole);
        assert!(bodies.admit(&economy("a"), 1 << 20).await.is_some());
    }

    #[tokio::test]
    async fn few_wait_and_whoever_waits_is_let_in_when_there_is_room() {
        let bodies = Arc::new(BodyLimiter {
            patience: Duration::from_mins(1),
            ..bodies(1)
        });
        let first = bodies.admit(&economy("a"), 2 << 20).await.expect("room");
        let waiting = tokio::spawn({
            let bodies = Arc::clone(&bodies);
            async move { bodies.admit(&economy("a"), 2 << 20).await.is_some() }
        });
        while bodies.large.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let beyond = bodies.admit(&economy("a"), 2 << 20).await;
        assert!(beyond.is_none(), "one too many waits");
        drop(first);
        assert!(waiting.await.expect("it is let in"));
    }
}

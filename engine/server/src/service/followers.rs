//! Reads of events for followers: event streams and webhooks.
//!
//! A follower that is behind reads page after page. At most two pages are read at the same time, of two economies. So
//! other reads always find a free connection, and many followers of one economy delay only each other.

use bursar_ledger::EconomyId;
use bursar_storage::{Event, EventRange};
use tokio::sync::Semaphore;

use super::Service;
use crate::keyed_locks::KeyedLocks;
use crate::service::error::ServiceError;

/// The most concurrent reads of followers of all economies together: half of the connections for reads.
const FOLLOWER_READS_MAX: usize = 2;

/// The most concurrent reads of followers of one economy.
const FOLLOWER_READS_PER_ECONOMY_MAX: usize = 1;

/// The most events of one read.
const FOLLOWER_EVENTS: usize = 100;

/// The most bytes of the events of one read, unless the first event is larger. Each follower buffers the events until
/// its consumer has taken them.
const FOLLOWER_EVENTS_BYTES_MAX: usize = 64 << 10;

/// Limits the concurrent reads of followers.
pub(super) struct FollowerReads {
    all: Semaphore,
    per_economy: KeyedLocks<EconomyId>,
}

impl FollowerReads {
    pub(super) fn new() -> Self {
        Self {
            all: Semaphore::new(FOLLOWER_READS_MAX),
            per_economy: KeyedLocks::new(FOLLOWER_READS_PER_ECONOMY_MAX),
        }
    }
}

impl Service {
    /// Reads the next events of an economy for a follower, within the limits of such reads.
    pub async fn follow_events(
        &self,
        economy: &EconomyId,
        after: u64,
        upto: u64,
    ) -> Result<Vec<Event>, ServiceError> {
        let reads = &self.parts.follower_reads;
        let _economy_permit = reads.per_economy.enter(economy.clone()).await;
        let _permit = reads.all.acquire().await;
        let economy = economy.clone();
        let range = EventRange {
            after,
            upto,
            bytes_max: FOLLOWER_EVENTS_BYTES_MAX,
        };
        self.read(move |storage| storage.events(&economy, range, FOLLOWER_EVENTS))
            .await
    }
}

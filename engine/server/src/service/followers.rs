//! Reads for those who follow economies: streams of events and webhooks.
//!
//! Followers that are behind read page after page. Two read at the same time, of two economies, so
//! that other reads always find a connection, and many followers of one economy delay themselves.

use bursar_ledger::EconomyId;
use bursar_storage::{Event, EventRange};
use tokio::sync::Semaphore;

use super::Service;
use crate::keyed_locks::KeyedLocks;
use crate::service::error::ServiceError;

/// Reads of followers at the same time, of all economies together: half of the connections that read.
const FOLLOWER_READS_MAX: usize = 2;

/// Reads of one economy's followers at the same time.
const FOLLOWER_READS_PER_ECONOMY_MAX: usize = 1;

/// Events that a follower reads at once.
const FOLLOWER_EVENTS: usize = 100;

/// Bytes of them, but for one event that is larger by itself: each follower keeps what it has read until
/// its consumer has taken it.
const FOLLOWER_EVENTS_BYTES_MAX: usize = 64 << 10;

/// Places for the reads of followers.
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
    /// The next events of an economy for somebody who follows it, read in turn with the followers of
    /// other economies.
    pub async fn follow_events(
        &self,
        economy: &EconomyId,
        after: u64,
        upto: u64,
    ) -> Result<Vec<Event>, ServiceError> {
        let reads = &self.parts.follower_reads;
        let _here = reads.per_economy.enter(economy.clone()).await;
        let _place = reads.all.acquire().await;
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

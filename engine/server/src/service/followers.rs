//! Reads of events for followers: event streams and webhooks.
//!
//! A follower that is behind reads page after page. At most two pages are read at the same time, of two economies. So
//! other reads always find a free connection, and many followers of one economy delay only each other.

use bursar_ledger::EconomyId;
use bursar_storage::{Event, EventRange};

use super::Service;
use crate::service::error::ServiceError;

/// The most events of one read.
const FOLLOWER_EVENTS: usize = 100;

/// The most bytes of the events of one read, unless the first event is larger. Each follower buffers the events until
/// its consumer has taken them.
const FOLLOWER_EVENTS_BYTES_MAX: usize = 64 << 10;

impl Service {
    /// Reads the next events of an economy for a follower, within the limits of such reads.
    pub async fn follow_events(
        &self,
        economy: &EconomyId,
        after: u64,
        upto: u64,
    ) -> Result<Vec<Event>, ServiceError> {
        let reads = &self.parts.follower_reads;
        let _permit = reads.enter(economy).await;
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

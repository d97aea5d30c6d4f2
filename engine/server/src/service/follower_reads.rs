//! The limit on concurrent reads of followers.

use bursar_ledger::EconomyId;

use crate::admission::{Admission, AdmissionBounds, Permit};

/// The most concurrent reads of followers of all economies together: half of the connections for reads.
const FOLLOWER_READS_MAX: usize = 2;

/// The most concurrent reads of followers of one economy.
const FOLLOWER_READS_PER_ECONOMY_MAX: usize = 1;

/// Limits the concurrent reads of followers.
pub(super) struct FollowerReads {
    permits: Admission<EconomyId>,
}

impl FollowerReads {
    pub(super) fn new() -> Self {
        Self {
            permits: Admission::new(AdmissionBounds::new(
                FOLLOWER_READS_MAX,
                FOLLOWER_READS_PER_ECONOMY_MAX,
            )),
        }
    }

    /// Waits for a permit to read events of an economy.
    pub(super) async fn enter(&self, economy: &EconomyId) -> Option<Permit<EconomyId>> {
        self.permits.acquire(economy, 1).await.ok()
    }
}

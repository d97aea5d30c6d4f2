//! The view: all runs and all frozen tails at one moment, which readers hold without a lock.

use std::sync::Arc;

#[cfg(test)]
use super::entry::IndexEntry;
use super::entry::{FingerprintEntry, SequenceEntry, SideEntry};
use super::manifest::{RunDescription, RunKind};
use super::run::SortedRun;
use super::tail::IndexTail;

/// The runs of one kind, from the oldest to the newest.
///
/// Their ranges of records follow each other without a gap, since a merge replaces neighbours.
pub(super) type Runs<E> = Vec<Arc<SortedRun<E>>>;

/// The runs of all kinds.
#[derive(Clone, Default)]
pub(super) struct RunSet {
    /// Fingerprints of idempotency keys.
    pub(super) keys: Runs<FingerprintEntry>,
    /// Fingerprints of ids.
    pub(super) ids: Runs<FingerprintEntry>,
    /// Records by economy and number.
    pub(super) sequence: Runs<SequenceEntry>,
    /// Movements by account and asset.
    pub(super) movements: Runs<SideEntry>,
}

impl RunSet {
    /// Returns the descriptions of all runs.
    pub(super) fn descriptions(&self) -> Vec<RunDescription> {
        RunKind::ALL
            .into_iter()
            .flat_map(|kind| self.of_kind(kind))
            .collect()
    }

    /// Returns the descriptions of the runs of one kind, from the oldest to the newest.
    pub(super) fn of_kind(&self, kind: RunKind) -> Vec<RunDescription> {
        match kind {
            RunKind::Keys => describe(&self.keys),
            RunKind::Ids => describe(&self.ids),
            RunKind::Sequence => describe(&self.sequence),
            RunKind::Movements => describe(&self.movements),
        }
    }

    /// Returns the bytes in memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        memory(&self.keys) + memory(&self.ids) + memory(&self.sequence) + memory(&self.movements)
    }
}

fn describe<E>(runs: &Runs<E>) -> Vec<RunDescription> {
    runs.iter().map(|run| run.description.clone()).collect()
}

#[cfg(test)]
fn memory<E: IndexEntry>(runs: &Runs<E>) -> usize {
    runs.iter().map(|run| run.memory()).sum()
}

/// The runs and the tails that wait for the builder.
#[derive(Clone, Default)]
pub(super) struct IndexView {
    /// The tails that are full, from the oldest to the newest.
    pub(super) frozen: Vec<Arc<IndexTail>>,
    /// The runs.
    pub(super) runs: RunSet,
    /// The last record that the runs cover.
    pub(super) covered: u64,
    /// The hash of the log up to that record.
    pub(super) head: [u8; 32],
}

impl IndexView {
    /// Returns the last record of the runs and the frozen tails.
    pub(super) fn last(&self) -> u64 {
        let tail = self.frozen.last();
        tail.map_or(self.covered, |tail| tail.last)
    }
}

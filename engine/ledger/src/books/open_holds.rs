//! Open holds with their indexes.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::hold::Hold;
use crate::id::{AccountId, HoldId};
use crate::time::Timestamp;

/// Open holds, indexed by source account and by due time.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct OpenHolds {
    pub(super) holds: OrdMap<HoldId, Arc<Hold>>,
    pub(super) by_source: OrdSet<(AccountId, HoldId)>,
    pub(super) by_due: OrdSet<(Timestamp, HoldId)>,
}

impl OpenHolds {
    /// Adds a hold to all indexes. Returns false if it exists already.
    pub(crate) fn insert(&mut self, id: HoldId, hold: Arc<Hold>) -> bool {
        let source = hold.reservation.posting().source.clone();
        self.by_due.insert((hold.due_at, id));
        self.by_source.insert((source, id));
        self.holds.insert(id, hold).is_none()
    }

    /// Returns these holds after a change of each one that leaves its id alone.
    pub(crate) fn map(self, change: impl Fn(Hold) -> Hold) -> Self {
        let mut changed = Self::default();
        for (id, hold) in self.holds {
            changed.insert(id, Arc::new(change(Arc::unwrap_or_clone(hold))));
        }
        changed
    }

    pub(super) fn remove(&mut self, id: HoldId) -> Option<Hold> {
        let hold = Arc::unwrap_or_clone(self.holds.remove(&id)?);
        let source = hold.reservation.posting().source.clone();
        self.by_due.remove(&(hold.due_at, id));
        self.by_source.remove(&(source, id));
        Some(hold)
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = (HoldId, Arc<Hold>)> + Send {
        self.holds.into_iter()
    }
}

//! Counts of conflicts: attempts of calls that read data which others changed before the commit. The counts are for
//! authors and operators of plugins. They are in memory and start with the server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};

/// The conflicts of a plugin's calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConflictCount {
    /// The number of repeated attempts.
    pub ran_again: u64,
    /// The number of calls that failed with `conflict` after their last attempt.
    pub given_up: u64,
}

/// The counts by economy and plugin. A plugin without a conflict has no entry.
#[derive(Default)]
pub(super) struct Conflicts {
    counts: Mutex<HashMap<(EconomyId, PluginName), ConflictCount>>,
}

impl Conflicts {
    pub(super) fn count_repeated(&self, economy: &EconomyId, plugin: &PluginName) {
        let mut counts = self.open();
        let count = counts.entry((economy.clone(), plugin.clone())).or_default();
        count.ran_again = count.ran_again.saturating_add(1);
    }

    pub(super) fn count_given_up(&self, economy: &EconomyId, plugin: &PluginName) {
        let mut counts = self.open();
        let count = counts.entry((economy.clone(), plugin.clone())).or_default();
        count.given_up = count.given_up.saturating_add(1);
    }

    pub(super) fn of(&self, economy: &EconomyId, plugin: &PluginName) -> ConflictCount {
        let counts = self.open();
        let count = counts.get(&(economy.clone(), plugin.clone()));
        count.copied().unwrap_or_default()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(EconomyId, PluginName), ConflictCount>> {
        // A panic cannot leave a count half changed, so a poisoned lock is still valid.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

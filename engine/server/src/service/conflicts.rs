//! How often calls of a plugin met what others had changed meanwhile. It is counted for whoever writes
//! or runs the plugin, in memory, since the server has started.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};

/// Conflicts of a plugin's calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConflictCount {
    /// How often a call ran again.
    pub ran_again: u64,
    /// How many calls ran as often as any may, and ended in `conflict`.
    pub given_up: u64,
}

/// The counts, by plugin of an economy. One without a conflict takes no room.
#[derive(Default)]
pub(super) struct Conflicts {
    counts: Mutex<HashMap<(EconomyId, PluginName), ConflictCount>>,
}

impl Conflicts {
    pub(super) fn count_again(&self, economy: &EconomyId, plugin: &PluginName) {
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
        // Each count is whole at any time.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Installed plugins of an economy: their installations, state and daily counters.

use std::sync::Arc;

use imbl::OrdMap;

use super::{ApplyError, Books, EXPIRED_REMOVED_MAX};
use crate::economy::Day;
use crate::id::{AssetId, HoldId, PluginId, PluginName};
use crate::plugin::budget::BudgetCounter;
use crate::plugin::installation::{ComponentChoice, Plugin, entry_bytes, entry_cost};
use crate::plugin::schedule::Schedule;
use crate::plugin::switch_off::{ActiveSwitchOff, SwitchOffEvidence};
use crate::rejection::Rejection;
use crate::time::Timestamp;

impl Books {
    /// Returns a schedule of an installed plugin, whether the plugin is enabled or not.
    pub fn schedule(&self, plugin: &PluginName, name: &str) -> Option<&Schedule> {
        self.plugin(plugin)?.installation.schedules.get(name)
    }

    /// Returns the plugin id that a name is bound to. The binding outlives the plugin, because the accounts
    /// under the name do too: no other plugin may get them.
    pub fn bound_id(&self, name: &PluginName) -> Option<&PluginId> {
        self.bound_names.get(name)
    }

    /// Checks that a component may be installed under a name.
    pub fn check_name(&self, name: &PluginName, choice: &ComponentChoice) -> Result<(), Rejection> {
        if let Some(bound) = self.bound_id(name).filter(|bound| **bound != choice.id) {
            return Err(Rejection::NameTaken {
                plugin: name.clone(),
                bound: bound.clone(),
                id: choice.id.clone(),
            });
        }
        if choice.name_is_fixed && !choice.id.is(name) {
            return Err(Rejection::NameIsFixed {
                plugin: name.clone(),
                id: choice.id.clone(),
            });
        }
        Ok(())
    }

    /// Returns the count of a budget counter on a day.
    pub fn spent_on(&self, day: Day, counter: &BudgetCounter) -> u64 {
        let counters = self.spends.get(&day);
        counters
            .and_then(|counters| counters.get(counter).copied())
            .unwrap_or(0)
    }

    /// Returns the number of counters of a day.
    pub(crate) fn counters_on(&self, day: Day) -> usize {
        self.spends.get(&day).map_or(0, OrdMap::len)
    }

    /// Returns true if a counter of a day exists.
    pub(crate) fn has_counter(&self, day: Day, counter: &BudgetCounter) -> bool {
        let counters = self.spends.get(&day);
        counters.is_some_and(|counters| counters.contains_key(counter))
    }

    /// Returns the amount of an asset that a plugin has issued on a day.
    pub fn issued_on(&self, day: Day, plugin: &PluginName, asset: &AssetId) -> u64 {
        let flow = self.flows.get(&(asset.clone(), day, Some(plugin.clone())));
        flow.map_or(0, |flow| flow.issued)
    }

    pub(super) fn count_budget(&mut self, day: Day, counter: &BudgetCounter, amount: u64) {
        self.remove_expired_counters(day);
        let sum = self.spends.entry(day).or_default();
        let sum = sum.entry(counter.clone()).or_insert(0);
        *sum = sum.saturating_add(amount);
    }

    /// Removes some counters of the oldest day before this one. Removing a large day at once would block
    /// the writer.
    fn remove_expired_counters(&mut self, before: Day) {
        let Some(oldest) = self.spends.get_min().map(|(day, _)| *day) else {
            return;
        };
        let Some(counters) = self.spends.get_mut(&oldest).filter(|_| oldest < before) else {
            return;
        };
        let expired: Vec<BudgetCounter> =
            counters.keys().take(EXPIRED_REMOVED_MAX).cloned().collect();
        for counter in expired {
            counters.remove(&counter);
        }
        if counters.is_empty() {
            self.spends.remove(&oldest);
        }
    }

    /// Returns an installed plugin for a change.
    pub(super) fn plugin_mut(&mut self, id: &PluginName) -> Result<&mut Plugin, ApplyError> {
        let mismatch = || ApplyError::Plugin { plugin: id.clone() };
        self.plugins
            .get_mut(id)
            .map(Arc::make_mut)
            .ok_or_else(mismatch)
    }

    /// Uninstalls a plugin. Its holds become due at once.
    pub(super) fn remove_plugin(
        &mut self,
        id: &PluginName,
        at: Timestamp,
    ) -> Result<(), ApplyError> {
        let mismatch = || ApplyError::Plugin { plugin: id.clone() };
        let gone = self.plugins.remove(id).ok_or_else(mismatch)?;
        self.usage.change_state(gone.state_cost(), 0);
        let holds = self.holds_after(None, None);
        let own = holds.filter(|(_, hold)| hold.plugin.as_ref() == Some(id));
        let own: Vec<HoldId> = own.map(|(hold, _)| hold).collect();
        for hold in own {
            self.defer_hold(hold, at)?;
        }
        Ok(())
    }

    /// Switches a plugin off and stores the evidence.
    pub(super) fn switch_off(
        &mut self,
        id: &PluginName,
        why: &SwitchOffEvidence,
        seq: u64,
        at: Timestamp,
    ) -> Result<(), ApplyError> {
        let plugin = self.plugin_mut(id)?;
        Arc::make_mut(&mut plugin.installation).enabled = false;
        plugin.history = plugin.revised(seq, false);
        plugin.version = seq;
        let why = why.clone();
        plugin.switched_off = Some(Arc::new(ActiveSwitchOff { why, at }));
        Ok(())
    }

    pub(super) fn set_next_due(
        &mut self,
        id: &PluginName,
        schedule: &str,
        next_due: Timestamp,
    ) -> Result<(), ApplyError> {
        let schedules = &mut Arc::make_mut(&mut self.plugin_mut(id)?.installation).schedules;
        let mismatch = || ApplyError::Plugin { plugin: id.clone() };
        schedules.get_mut(schedule).ok_or_else(mismatch)?.next_due = next_due;
        Ok(())
    }

    /// Sets the installation of a plugin. Its state stays, and so does the evidence of a switch-off until
    /// the plugin is enabled. A new name is bound to the plugin's id.
    pub(super) fn set_plugin(&mut self, id: &PluginName, plugin: Plugin) {
        let plugin = match self.plugins.get(id) {
            Some(present) => Plugin {
                history: present.revised(plugin.version, true),
                state: present.state.clone(),
                state_bytes: present.state_bytes,
                switched_off: if plugin.installation.enabled {
                    None
                } else {
                    present.switched_off.clone()
                },
                previous: if present.installation.component == plugin.installation.component {
                    present.previous.clone()
                } else {
                    Some(Arc::clone(&present.installation))
                },
                ..plugin
            },
            None => plugin,
        };
        let bound = plugin.installation.id.clone();
        self.bound_names.entry(id.clone()).or_insert(bound);
        self.plugins.insert(id.clone(), Arc::new(plugin));
    }

    pub(super) fn write_state(
        &mut self,
        id: &PluginName,
        key: &Arc<str>,
        value: Option<&Arc<str>>,
    ) -> Result<(), ApplyError> {
        let plugin = self.plugin_mut(id)?;
        let before = match value {
            Some(value) => plugin.state.insert(Arc::clone(key), Arc::clone(value)),
            None => plugin.state.remove(key),
        };
        plugin.state_bytes = plugin
            .state_bytes
            .saturating_sub(entry_bytes(key, before.as_ref()))
            .saturating_add(entry_bytes(key, value));
        let before = entry_cost(key, before.as_ref());
        self.usage.change_state(before, entry_cost(key, value));
        Ok(())
    }
}

//! Plugins as the books know them: what is installed, what it was granted, and its own state.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::digest::Digest;
use crate::document::Document;
use crate::hold::OnExpiry;
use crate::id::{AccountId, AssetId, PluginId};
use crate::limits::{BROKEN_DRAWS_MAX, HOLD_SECONDS_MAX, REVISIONS_MAX, STATE_ENTRY_BYTES};
use crate::plugin::grants::{GrantChoice, Grants};
use crate::plugin::schedule::{Schedule, ScheduleRule, ScheduleTimes};
use crate::plugin::switch_off::ActiveSwitchOff;
use crate::time::Timestamp;

/// A component that was uploaded, as the reserved economy `system` knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// Its size in bytes.
    pub bytes: u64,
    /// The id that its manifest names.
    pub name: String,
    /// The version that its manifest names.
    pub version: String,
    /// When it was uploaded.
    pub added_at: Timestamp,
}

/// How holds of one kind end, as the manifest says: fixed before the first of them is placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    /// Seconds until they end by themselves: 1 to [`HOLD_SECONDS_MAX`].
    pub expires_in_s: u64,
    /// What becomes of them then.
    pub on_expiry: OnExpiry,
}

impl HoldRule {
    /// Whether a hold may live so long.
    pub fn is_possible(&self) -> bool {
        (1..=HOLD_SECONDS_MAX).contains(&self.expires_in_s)
    }
}

/// The kinds of holds that a plugin places, by name.
pub type HoldRules = BTreeMap<String, HoldRule>;

/// A plugin as it is installed in one economy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plugin {
    /// How it is installed. Shared, since each call that writes state makes another plugin.
    #[serde(flatten)]
    pub installation: Arc<Installation>,
    /// How it was installed before another component took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Arc<Installation>>,
    /// Calls that have drawn and then broken off, since any of the above was last set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_draws: u32,
    /// The reason that the server has switched it off, since its calls kept failing, and the time; until it
    /// is on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off: Option<Arc<ActiveSwitchOff>>,
    /// The record that last changed any of the above. A call that ran under another version has
    /// learned something that is no longer true.
    pub version: u64,
    /// The records that have changed how it is installed, the newest last: those that are told, and one more
    /// to compare the oldest of them with.
    #[serde(default)]
    pub history: Arc<[Revision]>,
    /// Its own keys and values.
    #[serde(default)]
    pub state: OrdMap<Arc<str>, Arc<str>>,
    /// Bytes of all keys and values together.
    #[serde(default)]
    pub state_bytes: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Bytes that an entry of a plugin's state counts of the economy's quota; one without a value counts
/// none. Memory holds more of an entry than its texts.
pub(crate) fn entry_cost(key: &str, value: Option<&Arc<str>>) -> u64 {
    let texts = u64::try_from(entry_bytes(key, value)).unwrap_or(u64::MAX);
    value.map_or(0, |_| texts.saturating_add(STATE_ENTRY_BYTES))
}

/// Bytes that an entry of a plugin's state takes; one without a value takes none.
pub(crate) fn entry_bytes(key: &str, value: Option<&Arc<str>>) -> usize {
    value.map_or(0, |value| key.len().saturating_add(value.len()))
}

/// A balance that a plugin says it needs, such as a bankroll: below it, calls will decline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Need {
    /// Whose balance.
    pub account: AccountId,
    /// In which asset.
    pub asset: AssetId,
    /// The least that is to be available.
    pub at_least: Amount,
}

/// How a plugin is installed: what an operator has said, and what the component brings along.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Installation {
    /// The id that its manifest names; the name that it is installed under has no other one.
    pub id: PluginId,
    /// Which component runs.
    pub component: Digest,
    /// What its manifest asks for.
    pub requested: Grants,
    /// What it was granted. Grants belong to a component: another one starts without.
    pub grants: Grants,
    /// The operator's configuration.
    pub config: Document,
    /// Whether it may be called.
    pub enabled: bool,
    /// How the holds end that it places.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// What it does by itself, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, Schedule>,
    /// Whether a newer version takes its place by itself, if it asks for no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// What the component needs with this configuration, as it said when that was checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

/// A record that has changed how a plugin is installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// Its number in the economy's journal.
    pub seq: u64,
    /// The record that says how the plugin is installed: this one, or an earlier one if this one has only
    /// switched it off.
    pub set_by: u64,
}

impl Plugin {
    /// The revisions that are told, the newest first, each with the one before it.
    pub fn revisions(&self) -> impl Iterator<Item = (Revision, Option<Revision>)> + '_ {
        let newest_first = self.history.iter().rev().copied();
        let before = newest_first.clone().skip(1).map(Some).chain([None]);
        newest_first.zip(before).take(REVISIONS_MAX)
    }

    /// A revision that is told.
    pub fn revision(&self, seq: u64) -> Option<Revision> {
        let mut told = self.revisions().map(|(revision, _)| revision);
        told.find(|revision| revision.seq == seq)
    }

    /// The revisions with a further one: it says how the plugin is installed, or has switched it off.
    pub(crate) fn revised(&self, seq: u64, sets: bool) -> Arc<[Revision]> {
        let newest = self.history.last();
        let set_by = match newest {
            Some(newest) if !sets => newest.set_by,
            Some(_) | None => seq,
        };
        let over = self.history.len().saturating_sub(REVISIONS_MAX);
        let kept = self.history.iter().skip(over).copied();
        kept.chain([Revision { seq, set_by }]).collect()
    }

    /// A plugin that is installed with record number `version`, and has no state.
    pub(crate) fn new(installation: Installation, version: u64) -> Self {
        Self {
            installation: Arc::new(installation),
            previous: None,
            broken_draws: 0,
            switched_off: None,
            version,
            history: [Revision {
                seq: version,
                set_by: version,
            }]
            .into(),
            state: OrdMap::new(),
            state_bytes: 0,
        }
    }

    /// Bytes that its state counts of the economy's quota.
    pub(crate) fn state_cost(&self) -> u64 {
        let texts = u64::try_from(self.state_bytes).unwrap_or(u64::MAX);
        let entries = u64::try_from(self.state.len()).unwrap_or(u64::MAX);
        texts.saturating_add(entries.saturating_mul(STATE_ENTRY_BYTES))
    }

    /// Returns whether it was switched off for what its calls have done, and not by a person who runs the
    /// economy.
    pub fn was_switched_off(&self) -> bool {
        let failed = self.broken_draws >= BROKEN_DRAWS_MAX || self.switched_off.is_some();
        !self.installation.enabled && failed
    }
}

/// What a PUT changes of a plugin. What is absent stays.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginPatch {
    /// Another component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentChoice>,
    /// Other grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantChoice>,
    /// Another configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Document>,
    /// On or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether a newer version takes its place by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
    /// Other times of its schedules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, ScheduleTimes>,
    /// The component whose newer version this is: it takes its place, with all that it was granted, only
    /// if it is followed and the new one asks for no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<Digest>,
    /// The version of the installation that was looked at before: one that was set since is not followed,
    /// and does not take what was held against the configuration of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
    /// The component against whose schema the configuration was held, if no other one is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_against: Option<Digest>,
    /// What the component needs with the configuration, as its own check said; nothing where another
    /// component or configuration comes without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

/// The part of an installation that goes back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackTarget {
    /// The component, with the grants, the configuration and the switch that it had.
    Component,
    /// The configuration, for the component that is there now.
    Configuration {
        /// The revision that has made it so; none if no other configuration was there before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u64>,
        /// The configuration as the journal has it, and what came of holding it against the component.
        patch: Box<PluginPatch>,
    },
}

/// A component, with what its manifest asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComponentChoice {
    /// Which component.
    pub digest: Digest,
    /// The id that its manifest names.
    pub id: PluginId,
    /// Whether it spells its own accounts by that id, and so can have no other name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_is_fixed: bool,
    /// What its manifest asks for.
    pub requested: Grants,
    /// Its own accounts beside `plugin:{name}`.
    pub accounts: Vec<AccountId>,
    /// How the holds end that it places.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// What it does by itself, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, ScheduleRule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_of_a_plugin_live_from_a_second_to_a_leap_year() {
        let rule = |expires_in_s: u64| HoldRule {
            expires_in_s,
            on_expiry: OnExpiry::Release,
        };
        for possible in [1, HOLD_SECONDS_MAX] {
            assert!(rule(possible).is_possible(), "{possible}");
        }
        for impossible in [0, HOLD_SECONDS_MAX + 1] {
            assert!(!rule(impossible).is_possible(), "{impossible}");
        }
    }
}

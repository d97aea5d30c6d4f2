//! Installations of plugins, with their state and their revisions.

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

/// An uploaded component. The reserved economy `system` has all of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// The size in bytes.
    pub bytes: u64,
    /// The plugin id in the manifest.
    pub name: String,
    /// The version in the manifest.
    pub version: String,
    /// The time of the upload.
    pub added_at: Timestamp,
}

/// A rule for the expiry of holds. The manifest sets it before the first hold is placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    /// The lifetime in seconds: 1 to [`HOLD_SECONDS_MAX`].
    pub expires_in_s: u64,
    /// The rule for the amount that is left at expiry.
    pub on_expiry: OnExpiry,
}

impl HoldRule {
    /// Returns true if the lifetime is within its bounds.
    pub fn is_possible(&self) -> bool {
        (1..=HOLD_SECONDS_MAX).contains(&self.expires_in_s)
    }
}

/// The hold rules of a plugin, by name.
pub type HoldRules = BTreeMap<String, HoldRule>;

/// A plugin that is installed in an economy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plugin {
    /// The installation. It is shared because each write of state copies the plugin.
    #[serde(flatten)]
    pub installation: Arc<Installation>,
    /// The installation before the component was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Arc<Installation>>,
    /// The calls that have drawn and failed since the installation was set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_draws: u32,
    /// The evidence and the time of a switch-off by the server, until the plugin is enabled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off: Option<Arc<ActiveSwitchOff>>,
    /// The record that last changed the fields above. A call that ran under another version has outdated
    /// reads.
    pub version: u64,
    /// The records that changed the installation, newest last: the listed ones and one more, to compare the
    /// oldest with.
    #[serde(default)]
    pub history: Arc<[Revision]>,
    /// The plugin's own keys and values.
    #[serde(default)]
    pub state: OrdMap<Arc<str>, Arc<str>>,
    /// The sum of the sizes of all keys and values, in bytes.
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

/// Returns the bytes that an entry of state counts towards the economy's quota; 0 without a value. They
/// include the overhead of an entry in memory.
pub(crate) fn entry_cost(key: &str, value: Option<&Arc<str>>) -> u64 {
    let texts = u64::try_from(entry_bytes(key, value)).unwrap_or(u64::MAX);
    value.map_or(0, |_| texts.saturating_add(STATE_ENTRY_BYTES))
}

/// Returns the size of an entry of state in bytes; 0 without a value.
pub(crate) fn entry_bytes(key: &str, value: Option<&Arc<str>>) -> usize {
    value.map_or(0, |value| key.len().saturating_add(value.len()))
}

/// A balance that a plugin needs, such as a bankroll. Calls will decline while it is lower.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Need {
    /// The account.
    pub account: AccountId,
    /// The asset.
    pub asset: AssetId,
    /// The least available amount.
    pub at_least: Amount,
}

/// The installation of a plugin: the operator's settings, and properties of the component.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Installation {
    /// The plugin id in the manifest. The name of the installation is bound to it.
    pub id: PluginId,
    /// The component that runs.
    pub component: Digest,
    /// The grants that the manifest requests.
    pub requested: Grants,
    /// The granted rights. They belong to the component; another component starts without them.
    pub grants: Grants,
    /// The operator's configuration.
    pub config: Document,
    /// True if the plugin may be called.
    pub enabled: bool,
    /// The rules for the plugin's holds.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// The schedules, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, Schedule>,
    /// True if a newer version replaces the component automatically, provided it requests no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// The balances that the component needs, as it reported when the configuration was checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

/// A change of a plugin's installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// The number of the record.
    pub seq: u64,
    /// The record that set the installation: this one, or an earlier one if this one only switched the
    /// plugin off.
    pub set_by: u64,
}

impl Plugin {
    /// Returns the listed revisions, newest first, each with the one before it.
    pub fn revisions(&self) -> impl Iterator<Item = (Revision, Option<Revision>)> + '_ {
        let newest_first = self.history.iter().rev().copied();
        let before = newest_first.clone().skip(1).map(Some).chain([None]);
        newest_first.zip(before).take(REVISIONS_MAX)
    }

    /// Returns a listed revision.
    pub fn revision(&self, seq: u64) -> Option<Revision> {
        let mut listed = self.revisions().map(|(revision, _)| revision);
        listed.find(|revision| revision.seq == seq)
    }

    /// Returns the revisions with a new one. `sets` is false if the record only switched the plugin off.
    pub(crate) fn revised(&self, seq: u64, sets: bool) -> Arc<[Revision]> {
        let newest = self.history.last();
        let set_by = match newest {
            Some(newest) if !sets => newest.set_by,
            Some(_) | None => seq,
        };
        let over = self.history.len().saturating_sub(REVISIONS_MAX);
        let latest = self.history.iter().skip(over).copied();
        latest.chain([Revision { seq, set_by }]).collect()
    }

    /// Creates a plugin that record number `version` installs, without state.
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

    /// Returns the bytes that the plugin's state counts towards the economy's quota.
    pub(crate) fn state_cost(&self) -> u64 {
        let texts = u64::try_from(self.state_bytes).unwrap_or(u64::MAX);
        let entries = u64::try_from(self.state.len()).unwrap_or(u64::MAX);
        texts.saturating_add(entries.saturating_mul(STATE_ENTRY_BYTES))
    }

    /// Returns true if the plugin was switched off because its calls failed, and not by an operator.
    pub fn was_switched_off(&self) -> bool {
        let failed = self.broken_draws >= BROKEN_DRAWS_MAX || self.switched_off.is_some();
        !self.installation.enabled && failed
    }
}

/// Members of a plugin to set. Absent members stay.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginPatch {
    /// The new component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentChoice>,
    /// The new grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantChoice>,
    /// The new configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Document>,
    /// The new switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The new setting of automatic updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
    /// The new times of schedules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, ScheduleTimes>,
    /// The component that an automatic update replaces. The update keeps the grants, and has no effect if
    /// the plugin does not follow new versions or the new component requests more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<Digest>,
    /// The version of the installation that the requester has seen. If it has changed since, the
    /// configuration was checked against something else, and is rejected; an automatic update has no
    /// effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
    /// The component whose schema the configuration was checked against, if the patch has no component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_against: Option<Digest>,
    /// The balances that the component needs with the new configuration, as its own check reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

/// The part of an installation to restore.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackTarget {
    /// The previous component with its grants, its configuration and its switch.
    Component,
    /// An earlier configuration for the present component.
    Configuration {
        /// The revision that set it; absent if there is no earlier configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u64>,
        /// The configuration from the log, with the result of checking it against the component.
        patch: Box<PluginPatch>,
    },
}

/// A component to install, with the properties that its manifest gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComponentChoice {
    /// The component.
    pub digest: Digest,
    /// The plugin id in the manifest.
    pub id: PluginId,
    /// True if the component derives its own accounts from its id, and so needs the id as its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_is_fixed: bool,
    /// The grants that the manifest requests.
    pub requested: Grants,
    /// The plugin's own accounts in addition to `plugin:{name}`.
    pub accounts: Vec<AccountId>,
    /// The rules for the plugin's holds.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// The schedules, by name.
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

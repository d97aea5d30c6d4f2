//! Plugins and components.

use bursar_host::Manifest;
use std::collections::BTreeMap;

use bursar_ledger::{
    Books, Component, Digest, Document, EconomyId, Grants, Installation, MissedPolicy, Permissions,
    Plugin, PluginId, PluginName, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::needs::{NeedView, needs};
use super::switched_off::{SwitchedOffView, switched_off};
use crate::http::api::schemas;
use crate::http::problem;
use crate::service::ConflictCount;

/// A plugin as it is installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Plugin")]
pub(crate) struct PluginView<'a> {
    /// The name under which it is installed, which is in its path and in the names of its accounts.
    #[schemars(with = "schemas::PluginName")]
    name: &'a PluginName,
    /// The plugin that it is, as its manifest says.
    #[schemars(with = "schemas::PluginId")]
    plugin: &'a PluginId,
    /// Which component runs.
    #[schemars(with = "schemas::Digest")]
    component: Digest,
    /// Whether it may be called.
    enabled: bool,
    /// What its manifest asks for, and `"requested"` grants: patterns are not among it.
    #[schemars(with = "schemas::Grants")]
    requested: &'a Grants,
    /// What it was granted.
    #[schemars(with = "schemas::Grants")]
    grants: &'a Grants,
    /// The operator's configuration, as the manifest's schema has it.
    #[schemars(with = "Value")]
    config: &'a Document,
    /// Whether a newer version takes its place by itself, if it asks for no more.
    follow: bool,
    /// The component that was here before, to which it can be rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Digest")]
    previous: Option<Digest>,
    /// What it does by itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schedules: BTreeMap<&'a str, ScheduleView>,
    /// Calls that have drawn and then broken off since it was last set; with the third it is off.
    broken_draws: u32,
    /// The reason for which the server has switched it off by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    switched_off: Option<SwitchedOffView<'a>>,
    /// Bytes of its own keys and values together.
    state_bytes: usize,
    /// Balances that it needs with its configuration, as it said when that was set, and what is there now.
    /// Where one is not met, calls will decline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<NeedView<'a>>,
}

pub(crate) fn plugin<'a>(
    economy: &EconomyId,
    books: &Books,
    name: &'a PluginName,
    plugin: &'a Plugin,
) -> PluginView<'a> {
    let installation = &plugin.installation;
    PluginView {
        name,
        plugin: &installation.id,
        component: installation.component,
        enabled: installation.enabled,
        requested: &installation.requested,
        grants: &installation.grants,
        config: &installation.config,
        follow: installation.follow,
        previous: plugin.previous.as_ref().map(|before| before.component),
        schedules: schedules(installation),
        broken_draws: plugin.broken_draws,
        switched_off: switched_off(plugin),
        state_bytes: plugin.state_bytes,
        needs: needs(economy, books, installation),
    }
}

/// A plugin with its manifest; one that does not load says why instead.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginWithManifest")]
pub(crate) struct DescribedView<'a> {
    #[serde(flatten)]
    pub(crate) plugin: PluginView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Manifest")]
    pub(crate) manifest: Option<&'a Manifest>,
    /// Why it does not load.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "problem::ProblemBody<'static>")]
    pub(crate) problem: Option<Value>,
    pub(crate) conflicts: ConflictsView,
    /// The newest version of it that was uploaded, if it is newer than the one that is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<NewerVersionView<'a>>,
}

/// How often calls met what others had changed meanwhile, since the server has started. Many of them
/// mean that the plugin reads what all its calls write: has-at-least does not conflict, and a key for
/// each member conflicts with that member's calls alone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conflicts")]
pub(crate) struct ConflictsView {
    /// How often a call ran again.
    ran_again: u64,
    /// How many calls ran as often as any may, and were answered with `conflict`.
    given_up: u64,
}

impl From<ConflictCount> for ConflictsView {
    fn from(count: ConflictCount) -> Self {
        Self {
            ran_again: count.ran_again,
            given_up: count.given_up,
        }
    }
}

/// A version of a plugin that waits to be installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewerVersion")]
pub(crate) struct NewerVersionView<'a> {
    #[schemars(with = "schemas::Digest")]
    component: Digest,
    version: &'a str,
    /// What its manifest asks for.
    #[schemars(with = "schemas::Permissions")]
    requested: &'a Permissions,
    /// Whether that is more than what the installed one asks for: then it never follows by itself.
    asks_for_more: bool,
}

pub(crate) fn newer_version<'a>(
    component: Digest,
    manifest: &'a Manifest,
    installed: &Grants,
) -> NewerVersionView<'a> {
    NewerVersionView {
        component,
        version: &manifest.version,
        requested: &manifest.permissions,
        asks_for_more: !manifest.permissions.requested().narrows(installed),
    }
}

/// A plugin that is gone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginRemoved")]
pub(crate) struct RemovedPluginView<'a> {
    #[schemars(with = "schemas::PluginName")]
    pub(crate) name: &'a PluginName,
    #[schemars(extend("const" = true))]
    pub(crate) removed: bool,
}

/// When a schedule of a plugin is due.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
struct ScheduleView {
    /// Seconds from one due time to the next.
    every_s: u64,
    /// Seconds from each multiple of that since 1970 UTC to the due time.
    offset_s: u64,
    #[schemars(with = "schemas::Missed")]
    missed: MissedPolicy,
    /// The next due time that has not had its run.
    #[schemars(with = "schemas::Timestamp")]
    next_due: Timestamp,
}

fn schedules(installation: &Installation) -> BTreeMap<&str, ScheduleView> {
    let all = installation.schedules.iter().map(|(name, schedule)| {
        let view = ScheduleView {
            every_s: schedule.rule.times.every_s,
            offset_s: schedule.rule.times.offset_s,
            missed: schedule.rule.missed,
            next_due: schedule.next_due,
        };
        (name.as_str(), view)
    });
    all.collect()
}

/// A component that was uploaded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Component")]
pub(crate) struct ComponentView<'a> {
    #[schemars(with = "schemas::Digest")]
    component: &'a Digest,
    /// The plugin that it is, as its manifest says.
    plugin: &'a str,
    /// The version that its manifest says.
    version: &'a str,
    /// Its size.
    bytes: u64,
    #[schemars(with = "schemas::Timestamp")]
    added_at: Timestamp,
}

pub(crate) fn component<'a>(digest: &'a Digest, component: &'a Component) -> ComponentView<'a> {
    ComponentView {
        component: digest,
        plugin: &component.name,
        version: &component.version,
        bytes: component.bytes,
        added_at: component.added_at,
    }
}

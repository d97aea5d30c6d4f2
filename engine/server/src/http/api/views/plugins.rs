//! Response bodies about plugins and components.

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
use crate::service::ConflictCount;

/// An installed plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Plugin")]
pub(crate) struct PluginView<'a> {
    /// The name under which the plugin is installed. It is part of its path and of the names of its
    /// accounts.
    #[schemars(with = "schemas::PluginName")]
    name: &'a PluginName,
    /// The id of the plugin in its manifest.
    #[schemars(with = "schemas::PluginId")]
    plugin: &'a PluginId,
    /// The hash of the installed component.
    #[schemars(with = "schemas::Digest")]
    component: Digest,
    /// True if the plugin can be called.
    enabled: bool,
    /// The permissions that the manifest requests and `"grants": "requested"` grants. Patterns are
    /// not among them.
    #[schemars(with = "schemas::Grants")]
    requested: &'a Grants,
    /// The permissions that the operator granted.
    #[schemars(with = "schemas::Grants")]
    grants: &'a Grants,
    /// The operator's configuration. It matches the schema in the manifest.
    #[schemars(with = "Value")]
    config: &'a Document,
    /// True if the server installs a newer version of the plugin automatically, unless it requests
    /// more permissions.
    follow: bool,
    /// The hash of the component that was installed before; a rollback returns to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Digest")]
    previous: Option<Digest>,
    /// The plugin's schedules, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schedules: BTreeMap<&'a str, ScheduleView>,
    /// The calls that failed after a draw since the plugin was last set. The third one disables the
    /// plugin.
    broken_draws: u32,
    /// The reason for which the server disabled the plugin; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    switched_off: Option<SwitchedOffView<'a>>,
    /// The bytes that the plugin's keys and values occupy.
    state_bytes: usize,
    /// The balances that the plugin needs with its present configuration, compared with the present
    /// balances. Calls will decline while one of them is not met.
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

/// An installed plugin with its manifest, or with the reason for which its component cannot be
/// loaded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginWithManifest")]
pub(crate) struct PluginDetailsView<'a> {
    #[serde(flatten)]
    pub(crate) plugin: PluginView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Manifest")]
    pub(crate) manifest: Option<&'a Manifest>,
    /// The reason for which the component cannot be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "super::problems::ProblemBody<'static>")]
    pub(crate) problem: Option<Value>,
    pub(crate) conflicts: ConflictsView,
    /// The newest uploaded version of the plugin, if it is newer than the installed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<NewerVersionView<'a>>,
}

/// Conflicts between calls of the plugin since the server started. Many conflicts mean that the
/// plugin reads state that all of its calls write. `has-at-least` instead of `balance`, or one key
/// for each member instead of a shared one, avoids them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conflicts")]
pub(crate) struct ConflictsView {
    /// The number of times that a call was run again.
    ran_again: u64,
    /// The number of calls that reached the limit of attempts and failed with `conflict`.
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

/// An uploaded version of a plugin that is not installed yet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewerVersion")]
pub(crate) struct NewerVersionView<'a> {
    #[schemars(with = "schemas::Digest")]
    component: Digest,
    version: &'a str,
    /// The permissions that its manifest requests.
    #[schemars(with = "schemas::Permissions")]
    requested: &'a Permissions,
    /// True if it requests more than the installed version requests. The server never installs
    /// such a version automatically.
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

/// An uninstalled plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginRemoved")]
pub(crate) struct RemovedPluginView<'a> {
    #[schemars(with = "schemas::PluginName")]
    pub(crate) name: &'a PluginName,
    #[schemars(extend("const" = true))]
    pub(crate) removed: bool,
}

/// A schedule of a plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
struct ScheduleView {
    /// The seconds between two due times.
    every_s: u64,
    /// The seconds from each multiple of `every_s` since 1970-01-01 UTC to the due time.
    offset_s: u64,
    #[schemars(with = "schemas::Missed")]
    missed: MissedPolicy,
    /// The next due time that has not been run.
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

/// An uploaded component.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Component")]
pub(crate) struct ComponentView<'a> {
    #[schemars(with = "schemas::Digest")]
    component: &'a Digest,
    /// The id of the plugin in the component's manifest.
    plugin: &'a str,
    /// The version in the component's manifest.
    version: &'a str,
    /// The size in bytes.
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

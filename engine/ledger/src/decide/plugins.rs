//! Decisions on components and installations of plugins.

use std::sync::Arc;

use serde_json::json;

use crate::account::AccountStatus;
use crate::account_limits::LimitsChange;
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::document::Document;
use crate::id::{AccountId, PluginId, PluginName};
use crate::plugin::grants::{Excess, GrantChoice, Grants};
use crate::plugin::installation::{
    Component, ComponentChoice, HoldRules, Installation, Need, Plugin, PluginPatch, RollbackTarget,
};
use crate::plugin::switch_off::SwitchOffEvidence;
use crate::quota::Quota;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::schedules;
use super::verdict::Verdict;

pub(super) fn add_component(books: &Books, digest: Digest, component: Component) -> Verdict {
    if books.components().contains_key(&digest) {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(
        Change::ComponentAdded { digest, component },
        true,
    ))
}

pub(super) fn set_plugin(
    books: &Books,
    at: Timestamp,
    plugin: &PluginName,
    patch: &PluginPatch,
) -> Result<Verdict, Rejection> {
    let found = books.plugin(plugin);
    if let Some(before) = patch.follows
        && !found.is_some_and(|found| can_update(found, patch, before))
    {
        return Ok(Verdict::Unchanged);
    }
    let present = found.map(|found| &*found.installation);
    let (id, component, requested) = choose_component(books, plugin, patch, present)?;
    check_unchanged(plugin, patch, found, component)?;
    // Grants and the switch were given to one component. Another one starts without them, unless it is an
    // automatic update.
    let is_replaced = |present: &Installation| present.component != component;
    let continued = present.filter(|present| !is_replaced(present) || patch.follows.is_some());
    let grants = resolve_grants(patch, &requested, continued.map(|present| &present.grants))?;
    let config = resolve_config(patch, present);
    let enabled = patch
        .enabled
        .unwrap_or_else(|| continued.is_some_and(|present| present.enabled));
    let follow = patch
        .follow
        .unwrap_or_else(|| present.is_some_and(|present| present.follow));
    let holds = match (&patch.component, present) {
        (Some(choice), _) => choice.holds.clone(),
        (None, Some(present)) => present.holds.clone(),
        (None, None) => HoldRules::new(),
    };
    let schedules = schedules::resolve_schedules(at, plugin, patch, present, enabled)?;
    let installation = Installation {
        id,
        component,
        requested,
        grants,
        config,
        enabled,
        holds,
        schedules,
        follow,
        needs: resolve_needs(patch, present),
    };
    if present == Some(&installation) {
        return Ok(Verdict::Unchanged);
    }
    let creates = present.is_none();
    let mut changes = own_accounts(books, plugin, patch);
    books.check_more(Quota::Plugins, books.plugins().len(), usize::from(creates))?;
    books.check_more(Quota::Accounts, books.accounts().len(), changes.len())?;
    let plugin = plugin.clone();
    let installation = Box::new(installation);
    changes.push(Change::PluginSet {
        plugin,
        installation,
    });
    Ok(Verdict::Applied(Decision::new(
        Vec::new(),
        changes,
        creates,
    )))
}

/// Returns the id, the digest and the requested grants of the component that is to run: a new one, or the
/// present one.
fn choose_component(
    books: &Books,
    plugin: &PluginName,
    patch: &PluginPatch,
    present: Option<&Installation>,
) -> Result<(PluginId, Digest, Grants), Rejection> {
    match (&patch.component, present) {
        (Some(choice), _) => {
            books.check_name(plugin, choice)?;
            Ok((choice.id.clone(), choice.digest, choice.requested.clone()))
        }
        (None, Some(present)) => {
            let id = present.id.clone();
            Ok((id, present.component, present.requested.clone()))
        }
        (None, None) => Err(Rejection::ComponentMissing {
            plugin: plugin.clone(),
        }),
    }
}

/// Checks that the installation is still the one against which a configuration was checked.
fn check_unchanged(
    plugin: &PluginName,
    patch: &PluginPatch,
    found: Option<&Arc<Plugin>>,
    component: Digest,
) -> Result<(), Rejection> {
    let checked = patch.checked_against.filter(|_| patch.component.is_none());
    let component_matches = checked.is_none_or(|checked| checked == component);
    // `can_update` has compared the version of an automatic update already.
    let seen = patch.as_of.filter(|_| patch.follows.is_none());
    let version_matches =
        seen.is_none_or(|version| found.is_some_and(|found| found.version == version));
    if component_matches && version_matches {
        return Ok(());
    }
    Err(Rejection::PluginChanged {
        plugin: plugin.clone(),
    })
}

/// Returns the balances that the component needs with its configuration.
fn resolve_needs(patch: &PluginPatch, present: Option<&Installation>) -> Vec<Need> {
    match present {
        Some(present) if patch.component.is_none() && patch.config.is_none() => {
            present.needs.clone()
        }
        Some(_) | None => patch.needs.clone(),
    }
}

fn resolve_config(patch: &PluginPatch, present: Option<&Installation>) -> Document {
    match (&patch.config, present) {
        (Some(config), _) => config.clone(),
        (None, Some(present)) => present.config.clone(),
        (None, None) => Document::new(&json!({})),
    }
}

/// Returns true if a newer version may replace a component automatically: the plugin follows new versions,
/// was not changed in the meantime, and the new manifest requests no more.
fn can_update(found: &Plugin, patch: &PluginPatch, before: Digest) -> bool {
    let present = &found.installation;
    let version_matches = patch.as_of.is_none_or(|version| version == found.version);
    let narrows = |choice: &ComponentChoice| choice.requested.narrows(&present.requested);
    let choice = patch.component.as_ref();
    present.follow && present.component == before && version_matches && choice.is_some_and(narrows)
}

/// Returns the grants of the installation: those of the patch, those before, or the defaults. They must not
/// exceed the requested ones.
fn resolve_grants(
    patch: &PluginPatch,
    requested: &Grants,
    continued: Option<&Grants>,
) -> Result<Grants, Rejection> {
    let grants = match (&patch.grants, continued) {
        (Some(GrantChoice::Requested), _) => requested.clone(),
        (Some(GrantChoice::Exactly(grants)), _) => Grants::clone(grants).capped_as(requested),
        // A newer version that requests less keeps only the grants that it requests.
        (None, Some(continued)) if patch.follows.is_some() => continued.narrowed_to(requested),
        (None, Some(continued)) => continued.clone(),
        (None, None) => Grants::default().capped_as(requested),
    };
    match grants.excess_over(requested) {
        None => Ok(grants),
        Some(Excess { member, asks }) => Err(Rejection::GrantTooWide {
            member: member.into(),
            asks,
        }),
    }
}

pub(super) fn remove(books: &Books, plugin: &PluginName) -> Verdict {
    if books.plugin(plugin).is_none() {
        return Verdict::Unchanged;
    }
    let plugin = plugin.clone();
    Verdict::Applied(Decision::change(Change::PluginRemoved { plugin }, false))
}

/// Decides the switch-off of a plugin whose calls keep failing. A plugin that was set after the calls were
/// counted stays on: an operator may just have repaired it.
pub(super) fn switch_off(
    books: &Books,
    plugin: &PluginName,
    as_of: u64,
    why: &SwitchOffEvidence,
) -> Verdict {
    let current = books.plugin(plugin);
    if !current.is_some_and(|found| found.version == as_of && found.installation.enabled) {
        return Verdict::Unchanged;
    }
    let change = Change::PluginSwitchedOff {
        plugin: plugin.clone(),
        why: Box::new(why.clone()),
    };
    Verdict::Applied(Decision::change(change, false))
}

/// Decides the restoration of a component or a configuration.
pub(super) fn roll_back(
    books: &Books,
    at: Timestamp,
    plugin: &PluginName,
    what: &RollbackTarget,
) -> Result<Verdict, Rejection> {
    match what {
        RollbackTarget::Component => roll_back_component(books, at, plugin),
        RollbackTarget::Configuration { to, patch } => {
            let nothing_before = || Rejection::NothingBefore {
                plugin: plugin.clone(),
            };
            let to = to.ok_or_else(nothing_before)?;
            let found = books.plugin(plugin).ok_or_else(nothing_before)?;
            if found.revision(to).is_none() {
                return Err(Rejection::RevisionUnknown {
                    plugin: plugin.clone(),
                    revision: to,
                });
            }
            set_plugin(books, at, plugin, patch)
        }
    }
}

/// Decides the restoration of the previous component with its grants, configuration and switch. Due times
/// that were missed in the meantime are skipped, and automatic updates are turned off so that the newer
/// version does not return.
fn roll_back_component(
    books: &Books,
    at: Timestamp,
    plugin: &PluginName,
) -> Result<Verdict, Rejection> {
    let before = books
        .plugin(plugin)
        .and_then(|found| found.previous.as_deref());
    let before = before.ok_or_else(|| Rejection::NothingBefore {
        plugin: plugin.clone(),
    })?;
    let mut installation = Box::new(before.clone());
    installation.follow = false;
    for schedule in installation.schedules.values_mut() {
        schedule.next_due = schedule.rule.times.next_after(at);
    }
    let change = Change::PluginSet {
        plugin: plugin.clone(),
        installation,
    };
    Ok(Verdict::Applied(Decision::change(change, false)))
}

/// Returns changes that create the installation's own accounts, except for those that exist.
fn own_accounts(books: &Books, plugin: &PluginName, patch: &PluginPatch) -> Vec<Change> {
    let Some(choice) = &patch.component else {
        return Vec::new();
    };
    let first = AccountId::of_plugin(plugin);
    std::iter::once(&first)
        .chain(&choice.accounts)
        .filter(|account| books.account(account).is_none())
        .map(|account| Change::AccountSet {
            account: account.clone(),
            status: AccountStatus::Open,
            limits: LimitsChange::default(),
            metadata: None,
        })
        .collect()
}

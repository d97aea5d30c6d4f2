//! What plugins are: components and installations.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::AccountStatus;
use crate::amount::Limit;
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::id::{AccountId, PluginId};
use crate::plugin::{
    Component, ComponentChoice, GrantChoice, HoldRules, Installation, PluginPatch,
};
use crate::rejection::Rejection;
use crate::schedule::Schedule;
use crate::time::Timestamp;

use super::Verdict;

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
    plugin: &PluginId,
    patch: &PluginPatch,
) -> Result<Verdict, Rejection> {
    let present = books.plugin(plugin);
    let (component, requested, renewed) = match (&patch.component, present) {
        (Some(choice), present) => {
            let same = present.is_some_and(|present| present.component == choice.digest);
            (choice.digest, choice.requested.clone(), !same)
        }
        (None, Some(present)) => (present.component, present.requested.clone(), false),
        (None, None) => {
            return Err(Rejection::ComponentMissing {
                plugin: plugin.clone(),
            });
        }
    };
    // Grants and the switch belong to the component that they were given to.
    let kept = present.filter(|_| !renewed);
    let grants = match &patch.grants {
        Some(GrantChoice::Requested) => requested.clone(),
        Some(GrantChoice::Exactly(grants)) => grants.clone().capped_as(&requested),
        None => kept
            .map(|present| present.grants.clone())
            .unwrap_or_default(),
    };
    if !grants.narrows(&requested) {
        return Err(Rejection::GrantTooWide);
    }
    let config = match (&patch.config, present) {
        (Some(config), _) => Arc::new(config.clone()),
        (None, Some(present)) => Arc::clone(&present.config),
        (None, None) => Arc::new(serde_json::json!({})),
    };
    let enabled = patch
        .enabled
        .unwrap_or_else(|| kept.is_some_and(|present| present.enabled));
    let (holds, schedules) = match (&patch.component, present) {
        (Some(choice), _) => (choice.holds.clone(), scheduled(choice, at)),
        (None, Some(present)) => (present.holds.clone(), present.schedules.clone()),
        (None, None) => (HoldRules::new(), BTreeMap::new()),
    };
    let unchanged = present.is_some_and(|present| {
        present.component == component
            && present.grants == grants
            && present.config == config
            && present.enabled == enabled
    });
    if unchanged {
        return Ok(Verdict::Unchanged);
    }
    let mut changes = own_accounts(books, plugin, patch);
    let plugin = plugin.clone();
    let installation = Box::new(Installation {
        component,
        requested,
        grants,
        config,
        enabled,
        holds,
        schedules,
    });
    changes.push(Change::PluginSet {
        plugin,
        installation,
    });
    let creates = present.is_none();
    Ok(Verdict::Applied(Decision::new(
        Vec::new(),
        changes,
        creates,
    )))
}

/// The schedules of a component, from now on.
fn scheduled(choice: &ComponentChoice, at: Timestamp) -> BTreeMap<String, Schedule> {
    let rules = choice.schedules.iter();
    let rules = rules.map(|(name, rule)| {
        let next_due = rule.times.next_after(at);
        let rule = *rule;
        (name.clone(), Schedule { rule, next_due })
    });
    rules.collect()
}

/// The accounts that come with an installation and are not there yet.
fn own_accounts(books: &Books, plugin: &PluginId, patch: &PluginPatch) -> Vec<Change> {
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
            credit_limit: Limit::ZERO,
            ceiling: None,
            metadata: None,
        })
        .collect()
}

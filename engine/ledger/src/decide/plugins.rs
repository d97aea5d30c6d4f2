//! What plugins do and are: components, installations, and calls that have ended.

use std::sync::Arc;

use crate::account::AccountStatus;
use crate::amount::Limit;
use crate::books::Books;
use crate::call::{CallResult, Ending};
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::draft::Draft;
use crate::id::{AccountId, PluginId};
use crate::plugin::{Component, GrantChoice, PluginPatch};
use crate::rejection::Rejection;

use super::Verdict;
use super::money::post_all;
use super::scratch::Funds;

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
    changes.push(Change::PluginSet {
        plugin,
        component,
        requested,
        grants,
        config,
        enabled,
    });
    let creates = present.is_none();
    Ok(Verdict::Applied(Decision::new(
        Vec::new(),
        changes,
        creates,
    )))
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

/// A call commits only if everything that it learned is still true, whatever it ended in.
pub(super) fn call(books: &Books, result: &CallResult) -> Result<Verdict, Rejection> {
    let mut draft = match (Draft::open(books, &result.request), &result.ending) {
        (Err(now), Ending::NotRun(then)) if now == *then => return Err(now),
        (Err(_), _) | (Ok(_), Ending::NotRun(_)) => return Ok(Verdict::Stale),
        (Ok(draft), Ending::Replied { .. } | Ending::Declined { .. } | Ending::Faulted { .. }) => {
            draft
        }
    };
    if draft.component() != result.component || !draft.repeats(&result.transcript) {
        return Ok(Verdict::Stale);
    }
    match &result.ending {
        // The host takes a decline after a draw for a fault; what says otherwise is never committed.
        Ending::Declined { .. } if draft.has_drawn() => Ok(Verdict::Stale),
        Ending::Declined { .. } => Ok(Verdict::Declined),
        Ending::Faulted { .. } | Ending::NotRun(_) => Ok(Verdict::Faulted),
        Ending::Replied { .. } => {
            let fits = draft.check_quota();
            let (postings, changes) = draft.into_effects();
            let plugin = Some(&result.request.plugin);
            let verdict = post_all(books, &postings, Funds::Spendable, changes, plugin)?;
            fits.map(|()| verdict)
        }
    }
}

//! The rules between the parts of a manifest: unique names, references, and numbers that limit others.

use std::collections::BTreeSet;

use bursar_ledger::{AccountId, PluginId};
use serde_json::Value;

use super::finding::invalid;
use super::schemas::list;
use super::shape::is_word;
use crate::report::Findings;

/// Checks unique names, references, and numbers that depend on others.
///
/// Ignores parts of a wrong shape, because the check of shapes reports them.
pub(super) fn check_relations(manifest: &Value, findings: &mut Findings) {
    check_once(manifest, "actions", "action", findings);
    check_once(manifest, "schedules", "schedule", findings);
    check_accounts(manifest, findings);
    check_patterns(manifest, findings);
    for (index, schedule) in list(manifest, "schedules") {
        let seconds = |member: &str| schedule.get(member).and_then(Value::as_u64);
        if let (Some(offset), Some(every)) = (seconds("offset_s"), seconds("every_s"))
            && offset >= every
        {
            let message =
                format!("the offset of {offset} s is not less than the interval of {every} s");
            let found = invalid(message).pointer(&format!("/schedules/{index}/offset_s"));
            findings.add(found.hint("`offset_s` must be less than `every_s`"));
        }
    }
    let actions: BTreeSet<&str> = list(manifest, "actions")
        .filter_map(|(_, action)| text(action, "name"))
        .collect();
    for (index, odds) in list(manifest, "odds") {
        let action = text(odds, "action");
        if let Some(action) = action.filter(|action| !actions.contains(action)) {
            let message = format!("the odds name `{action}`, which is not an action");
            let found = invalid(message).pointer(&format!("/odds/{index}/action"));
            // An invalid name may be as long as the manifest, and the comparison takes quadratic time.
            let words = actions.iter().copied().filter(|name| is_word(name));
            findings.add(found.nearest(action, words));
        }
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

fn check_once(manifest: &Value, member: &str, noun: &str, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for (index, item) in list(manifest, member) {
        let name = text(item, "name");
        if let Some(name) = name.filter(|name| !names.insert(*name)) {
            let found = invalid(format!("the {noun} `{name}` occurs twice"));
            findings.add(found.pointer(&format!("/{member}/{index}/name")));
        }
    }
}

/// Checks that each account's name is valid together with the plugin's id, which adds to its length.
fn check_accounts(manifest: &Value, findings: &mut Findings) {
    let id = text(manifest, "id").and_then(|id| id.parse::<PluginId>().ok());
    let Some(plugin) = id.map(|id| id.as_name()) else {
        return;
    };
    for (index, sub) in list(manifest, "accounts") {
        let Some(sub) = sub.as_str().filter(|sub| is_segment(sub)) else {
            continue;
        };
        if let Err(error) = AccountId::of_plugin_sub(&plugin, sub) {
            let message = format!("`plugin:{plugin}:{sub}` is not the name of an account: {error}");
            findings.add(invalid(message).pointer(&format!("/accounts/{index}")));
        }
    }
}

fn is_segment(sub: &str) -> bool {
    sub.parse::<PluginId>().is_ok()
}

fn check_patterns(manifest: &Value, findings: &mut Findings) {
    let Some(permissions) = manifest.get("permissions") else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (index, pattern) in list(permissions, "patterns") {
        let at = format!("/permissions/patterns/{index}");
        let accounts = text(pattern, "accounts");
        if let Some(accounts) = accounts.filter(|accounts| !seen.insert(*accounts)) {
            let found = invalid(format!("the pattern `{accounts}` occurs twice"));
            findings.add(found.pointer(&format!("{at}/accounts")));
        }
        let reads = pattern
            .get("read")
            .is_some_and(|read| *read != Value::Bool(false));
        if pattern.is_object() && !reads && pattern.get("debit").is_none() {
            let found = invalid("a pattern has neither `\"read\": true` nor `\"debit\": true`");
            findings.add(found.pointer(&at));
        }
    }
}

//! The check that a record can be read again. A file with a record that cannot be read could never be opened
//! again.
//!
//! `serde_json` writes text of any depth, but reads at most 127 nested levels. A document is nested more
//! deeply in a record than in its request. So each act with a document of a client or of a guest is read back
//! before it is appended, in the forms that a start, a checkpoint and the audit read. Acts that only move
//! money have no documents, and skip this. Calls are frequent, and only the depth of their documents could make them
//! unreadable, so only their depth is checked.

use std::sync::Arc;

use bursar_ledger::{Act, Books, Change, CheckpointEntry, Decision, Plugin};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::commit::submission::Submission;
use crate::record::NO_CHANGES;

/// The depth of nesting that `serde_json` reads.
const NESTING_MAX: usize = 127;

/// The texts of a record that are read again as values.
pub(crate) struct Texts {
    pub(crate) act: String,
    pub(crate) changes: String,
}

/// Returns the act and the changes as texts, after checking that they can be read. `books` are the books with
/// the decision applied.
pub(crate) fn write(
    submission: &Submission,
    decision: &Decision,
    books: &Books,
) -> Result<Texts, String> {
    if is_too_deep(submission.request.as_str()) {
        return Err("the request is nested too deep to be read again".into());
    }
    let texts = Texts {
        act: to_json(&submission.act)?,
        changes: if decision.changes().is_empty() {
            NO_CHANGES.into()
        } else {
            to_json(&decision.changes())?
        },
    };
    if matches!(submission.act, Act::Call(_)) {
        for (text, what) in [(&texts.act, "the act"), (&texts.changes, "the changes")] {
            if is_too_deep(text) {
                return Err(format!("{what} is nested too deep to be read again"));
            }
        }
    } else if carries_documents(&submission.act) {
        same(&submission.act, &texts.act, "the act")?;
        same(&decision.changes().to_vec(), &texts.changes, "the changes")?;
        for change in decision.changes() {
            check_piece(change, books)?;
        }
    }
    Ok(texts)
}

/// Returns true if acts of this kind may contain documents that are read back: all but calls and those that only move
/// money.
fn carries_documents(act: &Act) -> bool {
    !matches!(
        act,
        Act::Call(_)
            | Act::Transfer(_)
            | Act::Batch(_)
            | Act::Reverse(_)
            | Act::PlaceHold(_)
            | Act::CaptureHold(_)
            | Act::ReleaseHold { .. }
            | Act::ExpireHold { .. }
            | Act::Issue(_)
            | Act::Burn(_)
    )
}

/// Checks that the entry of a change in a checkpoint can be read. A document has another depth there than in
/// the record.
fn check_piece(change: &Change, books: &Books) -> Result<(), String> {
    let item = match change {
        Change::AssetSet { asset, .. } => {
            let known = books.asset(asset).zip(books.asset_number(asset));
            known.map(|(known, number)| {
                CheckpointEntry::Asset(asset.clone(), Arc::clone(known), number)
            })
        }
        Change::AccountSet { account, .. } => books
            .account(account)
            .map(|known| CheckpointEntry::Account(account.clone(), Arc::new(known.clone()))),
        Change::PluginSet { plugin, .. } => books.plugin(plugin).map(|known| {
            let bare = Plugin {
                state: imbl::OrdMap::new(),
                ..(**known).clone()
            };
            CheckpointEntry::Plugin(plugin.clone(), Arc::new(bare))
        }),
        // No other change holds a document.
        _ => None,
    };
    item.map_or(Ok(()), |item| {
        same(&item, &to_json(&item)?, "its piece of a checkpoint")
    })
}

/// The number of bytes that most acts do not exceed as JSON.
const TEXT_BYTES: usize = 512;

fn to_json(value: &impl Serialize) -> Result<String, String> {
    let mut text = Vec::with_capacity(TEXT_BYTES);
    serde_json::to_writer(&mut text, value).map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn same<T: DeserializeOwned + PartialEq>(value: &T, text: &str, what: &str) -> Result<(), String> {
    match serde_json::from_str::<T>(text) {
        Ok(read) if read == *value => Ok(()),
        Ok(_) => Err(format!("{what} would be read as something else")),
        Err(error) => Err(format!("{what} could not be read again: {error}")),
    }
}

/// Returns true if a JSON text has more nested levels than can be read.
fn is_too_deep(json: &str) -> bool {
    // Nearly all texts have fewer brackets, which are counted several times as fast as levels.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    brackets.count() > NESTING_MAX && nesting(json) > NESTING_MAX
}

/// Returns the number of nested levels of arrays and objects in a JSON text.
fn nesting(json: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1],"b":[[2]]}"#, 3),
            (r#"["[[", "\"[[", "\\"]"#, 1),
        ] {
            assert_eq!(nesting(json), depth, "{json}");
        }
    }

    #[test]
    fn the_bound_on_nesting_is_the_readers_own() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let reads = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert!(reads(&deep(NESTING_MAX)));
        assert!(!reads(&deep(NESTING_MAX + 1)));
    }
}

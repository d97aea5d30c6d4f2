//! Checks that the economies and assets to which a new key is bound exist: a key with a misspelt name would allow
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use bursar_ledger::{EconomyId, KeyPatch, Patch};
use bursar_storage::State;
use serde_json::Value;

use crate::client::Client;
use crate::commands::error::CommandError;
use crate::commands::owner::into_body;
use crate::service::SYSTEM;

/// The most existing names that an error lists.
const NAMES_SHOWN: usize = 10;

/// The economies of a file, each with its assets.
pub(super) struct ExistingNames(BTreeMap<String, BTreeSet<String>>);

impl ExistingNames {
    /// Reads the names from the state of a file.
    pub(super) fn of(state: &State) -> Self {
        let economies = state.economies().iter();
        let economies = economies.filter(|(economy, _)| economy.as_str() != SYSTEM);
        let names = economies.map(|(economy, books)| {
            let assets = books.assets().iter().map(|(asset, _)| asset.to_string());
            (economy.to_string(), assets.collect())
        });
        Self(names.collect())
    }

    /// Requests the names from the server that uses the file. Requests assets only of the economies of the key.
    pub(super) async fn fetch(client: &mut Client, patch: &KeyPatch) -> Result<Self, CommandError> {
        let mut names = BTreeMap::new();
        for economy in fetch_ids(client, "/v1/economies", "economies").await? {
            let is_bound = match &patch.economies {
                Patch::Set(bound) => bound.iter().any(|it| it.as_str() == economy),
                Patch::Keep | Patch::Clear => true,
            };
            let assets = if is_bound && matches!(patch.transfer_cap, Patch::Set(_)) {
                let route = format!("/v1/economies/{economy}/assets");
                fetch_ids(client, &route, "assets").await?
            } else {
                BTreeSet::new()
            };
            names.insert(economy, assets);
        }
        Ok(Self(names))
    }

    /// Fails if the file lacks an economy or an asset that a key names.
    pub(super) fn check(&self, patch: &KeyPatch) -> Result<(), CommandError> {
        let mut bound: Vec<&BTreeSet<String>> = self.0.values().collect();
        if let Patch::Set(economies) = &patch.economies {
            bound.clear();
            for economy in economies {
                bound.push(self.economy(economy)?);
            }
        }
        let Patch::Set(cap) = &patch.transfer_cap else {
            return Ok(());
        };
        for asset in cap.caps().keys() {
            if !bound.iter().any(|assets| assets.contains(asset.as_str())) {
                let existing = bound.iter().copied().flatten().collect();
                return Err(missing("asset", asset, &existing));
            }
        }
        Ok(())
    }

    fn economy(&self, economy: &EconomyId) -> Result<&BTreeSet<String>, CommandError> {
        let found = self.0.get(economy.as_str());
        found.ok_or_else(|| missing("economy", economy, &self.0.keys().collect()))
    }
}

/// Returns the error about a name that does not exist, with the names that do.
fn missing(kind: &str, name: &impl Display, existing: &BTreeSet<&String>) -> CommandError {
    let mut shown: Vec<&str> = existing
        .iter()
        .take(NAMES_SHOWN)
        .map(|it| it.as_str())
        .collect();
    if existing.len() > NAMES_SHOWN {
        shown.push("…");
    }
    let existing = if shown.is_empty() {
        "there is none yet".into()
    } else {
        format!("there is {}", shown.join(", "))
    };
    CommandError::new(format!("no {kind} is called `{name}`: {existing}"))
}

/// Requests a list from the server that uses the file, and returns the ids in it.
async fn fetch_ids(
    client: &mut Client,
    path: &str,
    list: &str,
) -> Result<BTreeSet<String>, CommandError> {
    let response = client.get(path).await.map_err(CommandError::new)?;
    let body = into_body(&response)?;
    let items = body.get(list).and_then(Value::as_array);
    let ids = items.into_iter().flatten();
    Ok(ids
        .filter_map(|item| Some(item.get("id")?.as_str()?.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_lists_names_up_to_a_limit() {
        let error = |count: usize| {
            let names: BTreeSet<String> =
                (0..count).map(|number| format!("n{number:02}")).collect();
            missing("economy", &"gild", &names.iter().collect()).to_string()
        };
        assert!(error(0).ends_with("`gild`: there is none yet"));
        assert!(error(NAMES_SHOWN).ends_with(", n08, n09"));
        assert!(error(NAMES_SHOWN + 1).ends_with(", n09, …"));
    }
}

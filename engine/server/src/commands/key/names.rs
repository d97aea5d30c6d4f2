//! The names that a new key is bound to: each must be there, since a key for another one would open nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use bursar_ledger::{EconomyId, KeyPatch, Patch};
use bursar_storage::State;
use serde_json::Value;

use crate::client::Client;
use crate::commands::CommandError;
use crate::commands::owner::owner_says;
use crate::service::SYSTEM;

/// Names that are told where one was not found.
const NAMES_SHOWN: usize = 10;

/// The economies of a file, each with its assets.
pub(super) struct Names(BTreeMap<String, BTreeSet<String>>);

impl Names {
    /// The names in a file that nobody serves.
    pub(super) fn of(state: &State) -> Self {
        let all = state.economies().iter();
        let named = all.filter(|(economy, _)| economy.as_str() != SYSTEM);
        let assets = named.map(|(economy, books)| {
            let assets = books.assets().iter().map(|(asset, _)| asset.to_string());
            (economy.to_string(), assets.collect())
        });
        Self(assets.collect())
    }

    /// The names that the owner of a file tells; assets only of the economies that a key is bound to.
    pub(super) async fn ask(client: &mut Client, patch: &KeyPatch) -> Result<Self, CommandError> {
        let mut names = BTreeMap::new();
        for economy in listed(client, "/v1/economies", "economies").await? {
            let is_meant = match &patch.economies {
                Patch::Set(bound) => bound.iter().any(|it| it.as_str() == economy),
                Patch::Keep | Patch::Clear => true,
            };
            let found = if is_meant && matches!(patch.transfer_cap, Patch::Set(_)) {
                let route = format!("/v1/economies/{economy}/assets");
                listed(client, &route, "assets").await?
            } else {
                BTreeSet::new()
            };
            names.insert(economy, found);
        }
        Ok(Self(names))
    }

    /// Makes sure that there is everything that a key names.
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
                let there = bound.iter().copied().flatten().collect();
                return Err(missing("asset", asset, &there));
            }
        }
        Ok(())
    }

    fn economy(&self, economy: &EconomyId) -> Result<&BTreeSet<String>, CommandError> {
        let found = self.0.get(economy.as_str());
        found.ok_or_else(|| missing("economy", economy, &self.0.keys().collect()))
    }
}

/// An error that names what there is instead.
fn missing(what: &str, name: &impl Display, there: &BTreeSet<&String>) -> CommandError {
    let mut shown: Vec<&str> = there
        .iter()
        .take(NAMES_SHOWN)
        .map(|it| it.as_str())
        .collect();
    if there.len() > NAMES_SHOWN {
        shown.push("…");
    }
    let there = if shown.is_empty() {
        "there is none yet".into()
    } else {
        format!("there is {}", shown.join(", "))
    };
    CommandError::new(format!("no {what} here is called `{name}`: {there}"))
}

/// The ids in a list that the owner of a file gives.
async fn listed(
    client: &mut Client,
    path: &str,
    list: &str,
) -> Result<BTreeSet<String>, CommandError> {
    let answer = client.get(path).await.map_err(CommandError::new)?;
    let answer = owner_says(&answer)?;
    let items = answer.get(list).and_then(Value::as_array);
    let ids = items.into_iter().flatten();
    Ok(ids
        .filter_map(|item| Some(item.get("id")?.as_str()?.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_told() {
        let told = |count: usize| {
            let names: BTreeSet<String> =
                (0..count).map(|number| format!("n{number:02}")).collect();
            missing("economy", &"gild", &names.iter().collect()).to_string()
        };
        assert!(told(0).ends_with("`gild`: there is none yet"));
        assert!(told(NAMES_SHOWN).ends_with(", n08, n09"));
        assert!(told(NAMES_SHOWN + 1).ends_with(", n09, …"));
    }
}

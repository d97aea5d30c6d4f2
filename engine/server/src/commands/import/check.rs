//! What a list's rows are held against before the first is issued: the economy as its owner tells it,
//! and how much room the rows before leave.

use std::collections::BTreeMap;

use bursar_ledger::{AccountId, AccountKind, AssetId};
use serde_json::Value;

use super::balances::{Opening, wrong};
use super::list::{Mistake, Row};
use super::{CommandError, asked, detail};
use crate::client::Client;

/// What is known of the economy, and how much more of everything the rows so far leave room for.
pub(super) struct Check<'a> {
    client: &'a mut Client,
    opening: &'a Opening,
    /// What may still be issued of an asset; none if there is no such asset.
    assets: BTreeMap<AssetId, Option<i128>>,
    /// An account; none if it is to be made.
    accounts: BTreeMap<AccountId, Option<Room>>,
}

/// What an account takes.
struct Room {
    /// Why it takes nothing.
    shut: Option<String>,
    ceiling: Option<i128>,
    posted: BTreeMap<AssetId, i128>,
}

impl<'a> Check<'a> {
    pub(super) fn new(client: &'a mut Client, opening: &'a Opening) -> Self {
        Self {
            client,
            opening,
            assets: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// The accounts that the rows name and that are not there.
    pub(super) fn missing(&self) -> Vec<AccountId> {
        let missing = self.accounts.iter().filter(|(_, room)| room.is_none());
        missing.map(|(account, _)| account.clone()).collect()
    }

    /// The rows that are still to be issued, if all of them can be.
    pub(super) async fn rows(&mut self) -> Result<Vec<Row>, CommandError> {
        let economy = asked(self.client, &self.opening.path("")).await?;
        if !economy.status.is_success() {
            return Err(CommandError::new(detail(&economy)));
        }
        let (mut ahead, mut mistakes) = (Vec::new(), Vec::new());
        for row in &self.opening.rows {
            let path = self
                .opening
                .path(&format!("/outcomes/{}", self.opening.key(row)));
            let before = asked(self.client, &path).await?;
            if before.status.is_success() {
                continue;
            }
            if before.replayed {
                let what = format!("it was refused before: {}", detail(&before));
                mistakes.push(Mistake::new(
                    row.line,
                    format!("{what}; put it into a list of its own"),
                ));
                continue;
            }
            match self.row(row).await? {
                Ok(()) => ahead.push(row.clone()),
                Err(what) => mistakes.push(Mistake::new(row.line, what)),
            }
        }
        if mistakes.is_empty() {
            Ok(ahead)
        } else {
            Err(wrong(&mistakes))
        }
    }

    async fn row(&mut self, row: &Row) -> Result<Result<(), String>, CommandError> {
        self.learn(row).await?;
        let amount = i128::from(row.amount.get());
        let Some(Some(left)) = self.assets.get_mut(&row.asset) else {
            return Ok(Err(format!(
                "the economy has no asset `{}`; make it with PUT",
                row.asset
            )));
        };
        if amount > *left {
            return Ok(Err(format!(
                "there would be more of `{}` than there may be",
                row.asset
            )));
        }
        *left -= amount;
        match self.accounts.get_mut(&row.account) {
            Some(Some(room)) => Ok(room.take(&row.asset, amount)),
            _ if row.account.kind() == AccountKind::Open => Ok(Ok(())),
            _ => Ok(Err(format!(
                "`{}` comes with its plugin; install that first",
                row.account
            ))),
        }
    }

    /// Asks about what a row names, unless that was asked before.
    async fn learn(&mut self, row: &Row) -> Result<(), CommandError> {
        if !self.assets.contains_key(&row.asset) {
            let found = asked(
                self.client,
                &self.opening.path(&format!("/assets/{}", row.asset)),
            )
            .await?;
            let left = found.status.is_success().then(|| {
                let found = found.json();
                let number = |name: &str| found.get(name).and_then(Value::as_i64).map(i128::from);
                let most = number("max_supply").unwrap_or(i128::from(bursar_ledger::AMOUNT_MAX));
                most - number("supply").unwrap_or_default()
            });
            self.assets.insert(row.asset.clone(), left);
        }
        if !self.accounts.contains_key(&row.account) {
            let found = asked(
                self.client,
                &self.opening.path(&format!("/accounts/{}", row.account)),
            )
            .await?;
            let room = found
                .status
                .is_success()
                .then(|| Room::of(&row.account, &found.json()));
            self.accounts.insert(row.account.clone(), room);
        }
        Ok(())
    }
}

impl Room {
    fn of(account: &AccountId, found: &Value) -> Self {
        let status = found
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or("open");
        let balances = found.get("balances").and_then(Value::as_object);
        let posted = balances
            .into_iter()
            .flatten()
            .filter_map(|(asset, balance)| {
                let posted = balance.get("posted")?.as_i64()?;
                Some((asset.parse().ok()?, i128::from(posted)))
            });
        Self {
            shut: (status != "open").then(|| format!("`{account}` is {status}")),
            ceiling: found.get("ceiling").and_then(Value::as_i64).map(i128::from),
            posted: posted.collect(),
        }
    }

    fn take(&mut self, asset: &AssetId, amount: i128) -> Result<(), String> {
        if let Some(shut) = &self.shut {
            return Err(shut.clone());
        }
        let posted = self.posted.entry(asset.clone()).or_default();
        *posted += amount;
        match self.ceiling {
            Some(ceiling) if *posted > ceiling => Err(format!(
                "the account would have {posted} {asset}, and may have {ceiling}"
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_room_is_full_at_its_ceiling() {
        let account: AccountId = "user:1".parse().expect("a name");
        let coin: AssetId = "coin".parse().expect("a name");
        let found =
            json!({ "status": "open", "ceiling": 10, "balances": { "coin": { "posted": 4 } } });
        let mut room = Room::of(&account, &found);
        assert_eq!(room.take(&coin, 6), Ok(()));
        assert!(room.take(&coin, 1).is_err());
        let mut frozen = Room::of(&account, &json!({ "status": "frozen", "balances": {} }));
        assert_eq!(frozen.take(&coin, 1), Err("`user:1` is frozen".into()));
    }
}

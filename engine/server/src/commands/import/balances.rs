//! Opening balances: accounts are made, and each row of a list is issued, once.
//!
//! All rows are checked against the economy before the first is applied. The key of a row comes from
//! the whole list and the row's place in it, so that a second run finds the answers of the first.

use std::path::Path;

use bursar_ledger::{Digest, EconomyId, Timestamp};
use serde_json::{Map, Value, json};

use super::check::Check;
use super::list::{self, Mistake, Row};
use super::{CommandError, detail, style};
use crate::client::Client;
use crate::commands::input;
use crate::commands::progress::progress;

/// Bytes of a list.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Mistakes that are spelled out.
const MISTAKES_SHOWN: usize = 50;

/// A list that is right by itself.
pub(super) struct Opening {
    economy: EconomyId,
    /// Names the list, in keys.
    name: String,
    pub(super) rows: Vec<Row>,
}

impl Opening {
    pub(super) fn read(
        file: &Path,
        economy: EconomyId,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let bytes = input::read_up_to(file, LIST_BYTES_MAX, "a list")?;
        let rows = list::read(&bytes, now).map_err(|mistakes| wrong(&mistakes))?;
        let name = Digest::of(&bytes).to_string().split_off(32);
        Ok(Self {
            economy,
            name,
            rows,
        })
    }

    /// The key of a row: the same in each run of the same list.
    pub(super) fn key(&self, row: &Row) -> String {
        format!("balances-{}-{}", self.name, row.line)
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v1/economies/{}{rest}", self.economy)
    }
}

/// All that is wrong, each with its line.
pub(super) fn wrong(mistakes: &[Mistake]) -> CommandError {
    for Mistake { line, what } in mistakes.iter().take(MISTAKES_SHOWN) {
        style::remark(format!("line {line}: {what}"));
    }
    let count = mistakes.len();
    CommandError::new(format!("{count} lines cannot be; nothing was issued"))
}

/// Checks all rows, then has each issued that was not yet.
pub(super) async fn bring_in(mut client: Client, opening: &Opening) -> Result<(), CommandError> {
    let mut check = Check::new(&mut client, opening);
    let ahead = check.rows().await?;
    let done = opening.rows.len() - ahead.len();
    if done > 0 {
        style::remark(format!(
            "{done} rows of this list were issued before, and stay as they are"
        ));
    }
    let missing = check.missing();
    for account in &missing {
        let path = opening.path(&format!("/accounts/{account}"));
        let made = client
            .put(&path, &json!({}))
            .await
            .map_err(CommandError::new)?;
        if !made.status.is_success() {
            return Err(CommandError::new(format!("`{account}`: {}", detail(&made))));
        }
    }
    let (mut refused, mut shown) = (Vec::new(), progress("issued"));
    for (row, number) in ahead.iter().zip(1..) {
        let issued = client
            .post(&opening.path("/issue"), &opening.key(row), &body(row))
            .await;
        let issued = issued.map_err(|error| {
            CommandError::new(format!(
                "{error}; run the same command again: no row is issued twice"
            ))
        })?;
        if issued.status.is_server_error() {
            let what = detail(&issued);
            return Err(CommandError::new(format!(
                "{what}; run the same command again: no row is issued twice"
            )));
        }
        if !issued.status.is_success() {
            refused.push(Mistake::new(row.line, detail(&issued)));
        }
        shown(number, ahead.len() as u64);
    }
    if refused.is_empty() {
        style::say(format!(
            "{} rows issued, {} accounts made",
            ahead.len(),
            missing.len()
        ));
        return Ok(());
    }
    for Mistake { line, what } in &refused {
        style::remark(format!("line {line}: {what}"));
    }
    Err(CommandError::new(format!(
        "{} lines were refused, since something changed meanwhile; all others are issued. Once that \
         is put right, put these lines into a list of their own",
        refused.len()
    )))
}

fn body(row: &Row) -> Value {
    let mut body = Map::new();
    body.insert("account".into(), json!(row.account));
    body.insert("asset".into(), json!(row.asset));
    body.insert("amount".into(), json!(row.amount));
    body.extend(row.memo.as_ref().map(|memo| ("memo".into(), json!(memo))));
    body.extend(
        row.effective_at
            .map(|at| ("effective_at".into(), json!(at))),
    );
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_largest_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.csv");
        let file = std::fs::File::create(&path).expect("a list");
        let economy: EconomyId = "guild".parse().expect("a name");
        for (bytes, too_large) in [(LIST_BYTES_MAX, false), (LIST_BYTES_MAX + 1, true)] {
            file.set_len(bytes).expect("so long");
            let refused = Opening::read(&path, economy.clone(), Timestamp(0)).err();
            let said = refused.expect("zeros are no list").to_string();
            assert_eq!(said.contains("at most 67108864 bytes"), too_large, "{said}");
        }
    }
}

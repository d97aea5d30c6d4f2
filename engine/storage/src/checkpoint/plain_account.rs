//! The short form of an account in a checkpoint: `@NAME NUMBER` and, for each balance, ` ASSET POSTED HELD`.
//!
//! Accounts are by far the most entries. Most of them have no metadata and no limits and are open; in this form they are
//! written and read several times as fast as JSON.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use bursar_ledger::{Account, AccountNumber, AssetId, Balance, Balances, CheckpointEntry, Limit};

/// The first character of the form. No JSON begins with it.
pub(super) const MARK: &str = "@";

/// Writes an entry in the short form. Returns none if the entry needs JSON.
pub(super) fn write(to: &mut Vec<u8>, entry: &CheckpointEntry) -> Option<Result<(), String>> {
    let CheckpointEntry::Account(name, account) = entry else {
        return None;
    };
    let Account {
        number,
        status,
        limits,
        metadata,
        balances,
    } = &**account;
    if !status.is_open() || !limits.is_empty() || metadata.is_some() {
        return None;
    }
    let mut written = write!(to, "{MARK}{name} {}", number.0);
    for (asset, balance) in balances.iter() {
        let Balance { posted, held } = balance;
        written = written.and_then(|()| write!(to, " {asset} {posted} {}", held.get()));
    }
    Some(written.map_err(|error| error.to_string()))
}

/// A parser of accounts in the short form.
#[derive(Default)]
pub(super) struct Parser {
    /// The assets that were parsed, so that each is checked once.
    assets: HashMap<String, AssetId>,
}

impl Parser {
    /// Parses an account after the mark.
    pub(super) fn parse(&mut self, line: &str) -> Result<CheckpointEntry, String> {
        let mut parts = line.split(' ');
        let mut next = || parts.next().ok_or("an account lacks a member");
        let name = next()?.parse().map_err(|error| format!("{error}"))?;
        let number = next()?.parse().map_err(|_| "an account without a number")?;
        let mut balances = Balances::new();
        while let Some(asset) = parts.next() {
            let mut number = || parts.next().ok_or("a balance lacks a member");
            let posted = number()?.parse().map_err(|_| "a balance is no number")?;
            let held = number()?
                .parse()
                .map_err(|_| "a held amount is no number")?;
            let held = Limit::new(held).ok_or("a held amount is out of range")?;
            let balance = Balance { posted, held };
            if balances.insert(self.asset(asset)?, balance).is_some() {
                return Err("a balance is there twice".into());
            }
        }
        let account = Account {
            number: AccountNumber(number),
            balances,
            ..Account::default()
        };
        Ok(CheckpointEntry::Account(name, Arc::new(account)))
    }

    fn asset(&mut self, text: &str) -> Result<AssetId, String> {
        if let Some(known) = self.assets.get(text) {
            return Ok(known.clone());
        }
        let asset: AssetId = text.parse().map_err(|error| format!("{error}"))?;
        self.assets.insert(text.into(), asset.clone());
        Ok(asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entry: &CheckpointEntry) -> Option<String> {
        let mut text = Vec::new();
        let written = write(&mut text, entry)?;
        written.expect("memory takes all bytes");
        Some(String::from_utf8(text).expect("text"))
    }

    #[test]
    fn an_account_with_balances_only_is_read_as_it_was_written() {
        for line in [
            "@user:1 0",
            "@user:81384788765712384 7 coin -3 0",
            "@plugin:shop 4000000000 coin 9007199254740991 5 item:potion 3 3",
        ] {
            let text = line.strip_prefix(MARK).expect("the mark");
            let entry = Parser::default().parse(text).expect("an account");
            assert_eq!(written(&entry).as_deref(), Some(line));
        }
    }

    #[test]
    fn an_account_with_more_needs_json() {
        for json in [
            r#"{"account":["user:1",{"number":1,"status":"frozen"}]}"#,
            r#"{"account":["user:1",{"number":1,"metadata":{}}]}"#,
            r#"{"account":["user:1",{"number":1,"limits":{"ceiling":{"coin":5}}}]}"#,
        ] {
            let entry: CheckpointEntry = serde_json::from_str(json).expect(json);
            assert_eq!(written(&entry), None, "{json}");
        }
    }

    #[test]
    fn a_line_that_is_no_account_is_refused() {
        for line in [
            "",
            "user:1",
            "user:1 x",
            "user:1 1 coin",
            "user:1 1 coin 5",
            "user:1 1 coin 5 -1",
            "user:1 1 coin 5 0 coin 6 0",
            "User 1",
        ] {
            assert!(Parser::default().parse(line).is_err(), "{line}");
        }
    }
}

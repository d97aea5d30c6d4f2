//! The rows of the state after the newest record: accounts, balances, assets, holds and plugins.

use bursar_ledger::{Books, Document};
use libsql::Value;
use serde::Serialize;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::rows::to_json;
use crate::state::State;

/// Adds the rows of all economies.
pub(super) fn add(tables: &Database, state: &State) -> Result<(), StorageError> {
    let mut statements = StateTables::open(tables)?;
    for (economy, books) in state.economies() {
        let economy = economy.as_str();
        statements.add_economy(economy, books)?;
        statements.add_accounts(economy, books)?;
        statements.add_assets(economy, books)?;
        statements.add_holds(economy, books)?;
        statements.add_plugins(economy, books)?;
    }
    Ok(())
}

/// The statements that add the parts of a state.
struct StateTables {
    economy: Statement,
    account: Statement,
    balance: Statement,
    asset: Statement,
    hold: Statement,
    plugin: Statement,
}

impl StateTables {
    fn open(tables: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            economy: tables.prepare(
                "INSERT INTO economies (economy, status, opened_at, records, head)
                 VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch'), ?4, ?5)",
            )?,
            account: tables.prepare(
                "INSERT INTO accounts (economy, account, status, limits, metadata) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            balance: tables.prepare(
                "INSERT INTO balances (economy, account, asset, posted, held) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            asset: tables.prepare(
                "INSERT INTO assets (economy, asset, kind, name, symbol, decimals, supply, max_supply, metadata)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            hold: tables.prepare(
                "INSERT INTO holds (economy, hold, source, destination, asset, remaining, placed_at, expires_at,
                    on_expiry, plugin)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%dT%H:%M:%fZ', ?7 / 1000.0, 'unixepoch'),
                    strftime('%Y-%m-%dT%H:%M:%fZ', ?8 / 1000.0, 'unixepoch'), ?9, ?10)",
            )?,
            plugin: tables.prepare(
                "INSERT INTO plugins (economy, plugin, id, component, enabled, config, state_bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
        })
    }

    fn add_economy(&mut self, economy: &str, books: &Books) -> Result<(), StorageError> {
        self.economy.run(vec![
            text(economy),
            text(word(&books.status())?),
            integer(books.opened_at().0),
            integer(books.seq()),
            text(books.head().to_string()),
        ])
    }

    fn add_accounts(&mut self, economy: &str, books: &Books) -> Result<(), StorageError> {
        for (id, account) in books.accounts().iter() {
            let limits = if account.limits.is_empty() {
                None
            } else {
                Some(text(to_json(&account.limits)?))
            };
            self.account.run(vec![
                text(economy),
                text(id.as_str()),
                text(word(&account.status)?),
                optional(limits),
                document(account.metadata.as_ref()),
            ])?;
            for (asset, balance) in account.balances.iter() {
                self.balance.run(vec![
                    text(economy),
                    text(id.as_str()),
                    text(asset.as_str()),
                    Value::Integer(balance.posted),
                    integer(balance.held.get()),
                ])?;
            }
        }
        Ok(())
    }

    fn add_assets(&mut self, economy: &str, books: &Books) -> Result<(), StorageError> {
        for (id, asset) in books.assets() {
            self.asset.run(vec![
                text(economy),
                text(id.as_str()),
                text(word(&asset.kind)?),
                text(asset.name.clone()),
                optional(asset.symbol.clone().map(text)),
                integer(asset.decimals.into()),
                Value::Integer(books.supply(id)),
                optional(asset.max_supply.map(|limit| integer(limit.get()))),
                document(asset.metadata.as_ref()),
            ])?;
        }
        Ok(())
    }

    fn add_holds(&mut self, economy: &str, books: &Books) -> Result<(), StorageError> {
        for (id, hold) in books.holds_after(None, None) {
            let posting = hold.reservation.posting();
            self.hold.run(vec![
                text(economy),
                text(id.to_string()),
                text(posting.source.as_str()),
                text(posting.destination.as_str()),
                text(posting.asset.as_str()),
                integer(hold.remaining.get()),
                integer(hold.placed_at.0),
                integer(hold.expires_at.0),
                text(word(&hold.on_expiry)?),
                optional(hold.plugin.as_ref().map(|plugin| text(plugin.as_str()))),
            ])?;
        }
        Ok(())
    }

    fn add_plugins(&mut self, economy: &str, books: &Books) -> Result<(), StorageError> {
        for (name, plugin) in books.plugins() {
            let installation = &plugin.installation;
            self.plugin.run(vec![
                text(economy),
                text(name.as_str()),
                text(installation.id.as_str()),
                text(installation.component.to_string()),
                integer(installation.enabled.into()),
                text(installation.config.as_str()),
                integer(plugin.state_bytes as u64),
            ])?;
        }
        Ok(())
    }
}

/// Returns the word by which a value is written in JSON.
fn word(value: &impl Serialize) -> Result<String, StorageError> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}

fn document(document: Option<&Document>) -> Value {
    optional(document.map(|document| text(document.as_str())))
}

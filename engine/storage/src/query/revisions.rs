//! How a plugin was installed by some record, and who has asked for it.

use bursar_ledger::{Change, EconomyId, Installation, PluginName, Timestamp};
use serde_json::Value;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// A record that has changed how a plugin is installed.
#[derive(Clone, PartialEq, Debug)]
pub struct RevisionRecord {
    /// Its number in the economy.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who asked: the id of an API key.
    pub actor: String,
    /// What was asked, as JSON: method, path and body.
    pub request: Value,
    /// How the plugin is installed from then on; none if the record does not say it.
    pub installation: Option<Installation>,
}

/// Finds records by which plugins were installed.
pub(crate) struct Revisions {
    find: Statement,
}

impl Revisions {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        let find = database.prepare(
            "SELECT id, recorded_at, CAST(actor AS BLOB), CAST(request AS BLOB),
                    CAST(changes AS BLOB)
             FROM records WHERE economy = ?1 AND seq = ?2",
        )?;
        Ok(Self { find })
    }

    /// A record of an economy, with what it says of a plugin; none if there is no such record.
    pub(crate) fn read(
        &mut self,
        economy: &EconomyId,
        plugin: &PluginName,
        seq: u64,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        let values = vec![text(economy.as_str()), integer(seq)];
        self.find.first(values, |row| {
            let record = rows::count(row, 0, 0)?;
            let damaged = |error| StorageError::damaged(record, error);
            let request = rows::string(row, 3, record)?;
            let changes = rows::string(row, 4, record)?;
            let changes: Vec<Change> = serde_json::from_str(&changes).map_err(damaged)?;
            Ok(RevisionRecord {
                seq,
                recorded_at: Timestamp(rows::count(row, 1, record)?),
                actor: rows::string(row, 2, record)?,
                request: serde_json::from_str(&request).map_err(damaged)?,
                installation: changes.into_iter().find_map(|change| set(change, plugin)),
            })
        })
    }
}

/// How a plugin is installed by a change, if it is about that.
fn set(change: Change, of: &PluginName) -> Option<Installation> {
    match change {
        Change::PluginSet {
            plugin,
            installation,
        } if plugin == *of => Some(*installation),
        _ => None,
    }
}

//! Revisions of plugins, read from the journal.

use bursar_ledger::{Change, EconomyId, Installation, PluginName, Timestamp};
use serde_json::Value;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// A record that changed the installation of a plugin.
#[derive(Clone, PartialEq, Debug)]
pub struct RevisionRecord {
    /// The record's number in its economy.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The canonical request as JSON: method, path and body.
    pub request: Value,
    /// The installation after the record, or `None` if the record does not state it.
    pub installation: Option<Installation>,
}

/// A reader of revisions.
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

    /// Returns a record and the installation of a plugin in it, or `None` if the economy has no such record.
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

/// Returns the installation that a change states, if any.
fn set(change: Change, of: &PluginName) -> Option<Installation> {
    match change {
        Change::PluginSet {
            plugin,
            installation,
        } if plugin == *of => Some(*installation),
        _ => None,
    }
}

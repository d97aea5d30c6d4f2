//! Revisions of plugins, read from the log.

use bursar_ledger::{Change, EconomyId, Installation, PluginName, Timestamp};
use serde_json::Value;

use crate::error::StorageError;
use crate::query::source::QuerySource;

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

/// Returns a record and the installation of a plugin in it, or `None` if the economy has no such record.
pub(crate) fn read(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    plugin: &PluginName,
    seq: u64,
) -> Result<Option<RevisionRecord>, StorageError> {
    let Some(record) = source.record_at(economy, seq)? else {
        return Ok(None);
    };
    let damaged = |error| StorageError::damaged(record.id, error);
    let changes = record.changes()?;
    Ok(Some(RevisionRecord {
        seq,
        recorded_at: record.recorded_at,
        request: serde_json::from_str(&record.request).map_err(damaged)?,
        actor: record.actor,
        installation: changes.into_iter().find_map(|change| set(change, plugin)),
    }))
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

//! The journal's data of one call, which suffices to run it again.

use bursar_ledger::{
    Act, CallId, CallResult, Change, Digest, EconomyId, HoldId, Installation, Movement, SubjectId,
    Timestamp,
};
use libsql::Value as Cell;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::index::subjects::{About, HoldHistory};
use crate::query::revisions::Revisions;
use crate::record::Outcome;
use crate::rows;

type Result<T> = std::result::Result<T, StorageError>;

/// The record of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRecord {
    /// The record's number in its economy.
    pub seq: u64,
    /// The version of Bursar that wrote the record and ran the plugin.
    pub version: String,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// The call with its transcript and its end.
    pub call: CallResult,
    /// The changes other than movements.
    pub changes: Vec<Change>,
    /// The movements.
    pub movements: Vec<Movement>,
    /// The holds of earlier calls that the call captured, released or secured, each as it was before the call.
    pub holds: Vec<(HoldId, HoldHistory)>,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
    /// The installation of the plugin at the time, or `None` if the plugin did not run.
    pub installation: Option<Installation>,
}

/// A reader of the records of calls.
pub(crate) struct Receipts {
    call: Statement,
    movements: Statement,
}

impl Receipts {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            call: database.prepare(
                "SELECT records.id, seq, CAST(version AS BLOB), recorded_at, CAST(actor AS BLOB),
                        CAST(idempotency_key AS BLOB), CAST(outcome AS BLOB), CAST(act AS BLOB),
                        CAST(changes AS BLOB), hash, movement
                 FROM subjects JOIN records ON records.id = subjects.record
                 WHERE subjects.id = ?1 AND economy = ?2 AND kind = 'call'
                 ORDER BY records.id LIMIT 1",
            )?,
            movements: database.prepare(
                "SELECT id, record, CAST(source AS BLOB), CAST(destination AS BLOB),
                        CAST(asset AS BLOB), amount, source_after, destination_after,
                        source_previous, destination_previous, part
                 FROM movements WHERE id >= ?1 ORDER BY id",
            )?,
        })
    }

    /// Returns the record of a call, or `None` if the economy has no such call.
    pub(crate) fn call(
        &mut self,
        about: &mut About,
        revisions: &mut Revisions,
        economy: &EconomyId,
        id: CallId,
    ) -> Result<Option<CallRecord>> {
        let subject = SubjectId::from(id);
        let values = vec![Cell::Blob(subject.to_vec()), text(economy.as_str())];
        let found = self.call.first(values, |row| {
            let record = rows::count(row, 0, 0)?;
            let damaged = |error| StorageError::damaged(record, error);
            let act = serde_json::from_str(&rows::string(row, 7, record)?).map_err(damaged)?;
            let Act::Call(call) = act else {
                return Err(StorageError::damaged(record, "its kind is not its act's"));
            };
            let read = CallRecord {
                seq: rows::count(row, 1, record)?,
                version: rows::string(row, 2, record)?,
                recorded_at: Timestamp(rows::count(row, 3, record)?),
                actor: rows::string(row, 4, record)?,
                key: rows::string_or_none(row, 5, record)?,
                outcome: rows::outcome(row, 6, record)?,
                call: *call,
                changes: serde_json::from_str(&rows::string(row, 8, record)?).map_err(damaged)?,
                movements: Vec::new(),
                holds: Vec::new(),
                hash: rows::digest(row, 9, record)?,
                installation: None,
            };
            Ok((record, rows::number_or_none(row, 10, record)?, read))
        })?;
        let found = found.filter(|(_, _, read)| read.call.request.id == id);
        let Some((record, first, mut read)) = found else {
            return Ok(None);
        };
        if let Some(first) = first {
            read.movements = self.moved(record, rows::unsigned(first)?)?;
        }
        for hold in read.call.transcript.holds() {
            let history = about.hold_before(economy, hold, record)?;
            read.holds.extend(history.map(|history| (hold, history)));
        }
        // The transcript names the record by which the plugin was installed.
        let installed = read.call.transcript.version();
        let installed = revisions.read(economy, &read.call.request.plugin, installed)?;
        read.installation = installed.and_then(|record| record.installation);
        Ok(Some(read))
    }

    fn moved(&mut self, record: u64, first: u64) -> Result<Vec<Movement>> {
        let mut movements = Vec::new();
        self.movements.each(vec![integer(first)], |row| {
            let (owner, entry) = rows::read_entry(row)?;
            if owner == record {
                movements.push(entry.movement);
            }
            Ok(owner == record)
        })?;
        Ok(movements)
    }
}

//! Events: the records of an economy in order, as followers see them.

use bursar_ledger::{Digest, EconomyId, Timestamp};
use serde_json::Value;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// The maximum number of events in one page.
pub const EVENTS_MAX: usize = 500;

/// The maximum size of the requests and answers in one page in bytes, unless a single event is larger.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A record as an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The record's number in its economy. Numbers have no gaps.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The kind of the act.
    pub kind: String,
    /// The outcome: `applied`, `rejected`, `declined` or `faulted`.
    pub outcome: String,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The canonical request as JSON: method, path and body.
    pub request: Value,
    /// The answer as JSON. The answer to a movement of money has the postings and the balances after it.
    pub answer: Value,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
}

/// A range of events by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventRange {
    /// The number before the first event.
    pub after: u64,
    /// The number of the last event. It must not exceed the published state, because another read could still
    /// miss an event that is committed and not yet published.
    pub upto: u64,
    /// The maximum size of the requests and answers in bytes, unless a single event is larger; at most 1 MiB.
    pub bytes_max: usize,
}

/// Converts a record number to an SQL integer. No record has a larger number.
fn countable(seq: u64) -> u64 {
    seq.min(i64::MAX.unsigned_abs())
}

/// A reader of an economy's records by their numbers.
pub(crate) struct Events {
    find: Statement,
    find_hash: Statement,
}

impl Events {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            find: database.prepare(
                "SELECT seq, recorded_at, CAST(kind AS BLOB), CAST(outcome AS BLOB),
                        CAST(actor AS BLOB), CAST(idempotency_key AS BLOB),
                        CAST(request AS BLOB), CAST(answer AS BLOB), hash, id
                 FROM records WHERE economy = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4",
            )?,
            find_hash: database
                .prepare("SELECT hash FROM records WHERE economy = ?1 AND seq = ?2")?,
        })
    }

    /// Returns the hash of a record, or `None` if the economy has no such record.
    pub(crate) fn hash(
        &mut self,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        let values = vec![text(economy.as_str()), integer(countable(seq))];
        self.find_hash.first(values, |row| rows::digest(row, 0, 0))
    }

    /// Returns up to `limit` events of a range, at most [`EVENTS_MAX`].
    pub(crate) fn between(
        &mut self,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        let limit = integer(limit.min(EVENTS_MAX) as u64);
        let mut events = Vec::new();
        let mut bytes = 0_usize;
        let bytes_max = range.bytes_max.min(PAGE_BYTES_MAX);
        let after = countable(range.after);
        let upto = countable(range.upto);
        let values = vec![text(economy.as_str()), integer(after), integer(upto), limit];
        self.find.each(values, |row| {
            let record = rows::count(row, 9, 0)?;
            let mut json = |column: i32| -> Result<Value, StorageError> {
                let text = rows::string(row, column, record)?;
                bytes = bytes.saturating_add(text.len());
                serde_json::from_str(&text).map_err(|error| StorageError::damaged(record, error))
            };
            let request = json(6)?;
            let answer = json(7)?;
            if bytes > bytes_max && !events.is_empty() {
                return Ok(false);
            }
            events.push(Event {
                seq: rows::count(row, 0, record)?,
                recorded_at: Timestamp(rows::count(row, 1, record)?),
                kind: rows::string(row, 2, record)?,
                outcome: rows::string(row, 3, record)?,
                actor: rows::string(row, 4, record)?,
                key: rows::string_or_none(row, 5, record)?,
                request,
                answer,
                hash: rows::digest(row, 8, record)?,
            });
            Ok(true)
        })?;
        Ok(events)
    }
}

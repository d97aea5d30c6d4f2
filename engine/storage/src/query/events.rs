//! What happened in an economy, in order: its records, as somebody who follows it sees them.

use bursar_ledger::{Digest, EconomyId, Timestamp};
use serde_json::Value;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// Events in one page.
pub const EVENTS_MAX: usize = 500;

/// Bytes of what was asked and answered in one page, but for one event that is larger by itself.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// One record, as an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its number in the economy, without gaps.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What kind of act it was.
    pub kind: String,
    /// How it ended: `applied`, `rejected`, `declined` or `faulted`.
    pub outcome: String,
    /// Who asked: the id of an API key.
    pub actor: String,
    /// The idempotency key under which it was asked.
    pub key: Option<String>,
    /// What was asked, as JSON: method, path and body.
    pub request: Value,
    /// What was answered, as JSON: for what moved money, the postings and the balances after.
    pub answer: Value,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
}

/// Events of an economy by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventRange {
    /// The number before the first.
    pub after: u64,
    /// The number of the last. What is committed and not yet published is not to be shown: it may
    /// still be unknown to those who are asked next.
    pub upto: u64,
    /// Bytes of what was asked and answered in them, but for one event that is larger by itself; at most
    /// a mebibyte.
    pub bytes_max: usize,
}

/// Beyond what SQL counts there is no record.
fn countable(seq: u64) -> u64 {
    seq.min(i64::MAX.unsigned_abs())
}

/// Finds the records of an economy by their order.
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

    /// The hash of a record, if the economy has it.
    pub(crate) fn hash(
        &mut self,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        let values = vec![text(economy.as_str()), integer(countable(seq))];
        self.find_hash.first(values, |row| rows::digest(row, 0, 0))
    }

    /// Up to `limit` events of a range, at most [`EVENTS_MAX`].
    pub(crate) fn between(
        &mut self,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        let limit = integer(limit.min(EVENTS_MAX) as u64);
        let (mut events, mut bytes) = (Vec::new(), 0_usize);
        let bytes_max = range.bytes_max.min(PAGE_BYTES_MAX);
        let (after, upto) = (countable(range.after), countable(range.upto));
        let values = vec![text(economy.as_str()), integer(after), integer(upto), limit];
        self.find.each(values, |row| {
            let record = rows::count(row, 9, 0)?;
            let mut json = |column: i32| -> Result<Value, StorageError> {
                let text = rows::string(row, column, record)?;
                bytes = bytes.saturating_add(text.len());
                serde_json::from_str(&text).map_err(|error| StorageError::damaged(record, error))
            };
            let (request, answer) = (json(6)?, json(7)?);
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

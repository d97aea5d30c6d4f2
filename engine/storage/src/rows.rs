//! The conversion of rows to values and back. Only this file knows the columns.

use std::collections::VecDeque;

use bursar_ledger::{Amount, Digest, HistoryLink, Movement, Posting, Timestamp};
use libsql::{Row, Value};
use serde::Serialize;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::record::{Entry, Outcome, Record, StoredAnswer};

type Result<T> = std::result::Result<T, StorageError>;

/// A number that is never negative.
pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| StorageError::damaged(0, "a number is below zero"))
}

pub(crate) fn blob(digest: &Digest) -> Value {
    Value::Blob(digest.as_bytes().to_vec())
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StorageError::damaged(0, error))
}

/// The values of a record's row, in the order of `INSERT INTO records`.
pub(crate) fn record_values(record: &Record) -> Result<Vec<Value>> {
    let answer = std::str::from_utf8(&record.answer)
        .map_err(|error| StorageError::damaged(record.id, error))?;
    Ok(vec![
        integer(record.id),
        text(record.economy.as_str()),
        integer(record.seq),
        integer(record.epoch),
        text(&record.version),
        integer(record.recorded_at.0),
        text(&record.kind),
        text(&record.actor),
        optional(record.key.as_deref().map(text)),
        text(&record.request),
        text(&record.act),
        text(record.outcome.as_str()),
        text(&record.changes),
        integer(u64::from(record.status)),
        text(answer),
        blob(&record.previous),
        blob(&record.hash),
    ])
}

/// The query for [`stored`], which finds the answer of a record.
pub(crate) const FIND_STORED: &str =
    "SELECT CAST(request AS BLOB), status, CAST(answer AS BLOB) FROM records WHERE id = ?1";

/// The query for [`request_bytes`]. SQLite knows the length of a request without reading it.
pub(crate) const FIND_LENGTH: &str = "SELECT octet_length(request) FROM records WHERE id = ?1";

/// Returns the number of bytes of a record's request.
pub(crate) fn request_bytes(find: &mut Statement, record: u64) -> Result<u64> {
    let bytes = find.first(vec![integer(record)], |row| count(row, 0, record))?;
    bytes.ok_or_else(|| StorageError::damaged(record, "a key leads to it, and it is missing"))
}

/// The answer of a record.
pub(crate) fn stored(find: &mut Statement, record: u64) -> Result<StoredAnswer> {
    let stored = find.first(vec![integer(record)], |row| {
        Ok(StoredAnswer {
            request: string(row, 0, record)?,
            status: status(row, 1, record)?,
            body: string(row, 2, record)?.into(),
        })
    })?;
    stored.ok_or_else(|| StorageError::damaged(record, "a key leads to it, and it is missing"))
}

fn status(row: &Row, column: i32, record: u64) -> Result<u16> {
    let number = number(row, column, record)?;
    u16::try_from(number).map_err(|_| StorageError::damaged(record, "a status is out of range"))
}

/// Reads all records after a record, in order, with their movements (those after `movement`), until
/// `each` returns false.
pub(crate) fn each_record(
    database: &Database,
    after: u64,
    movement: u64,
    mut each: impl FnMut(Record) -> Result<bool>,
) -> Result<()> {
    let mut records = database.prepare(
        "SELECT id, CAST(economy AS BLOB), seq, epoch, CAST(version AS BLOB), recorded_at,
                CAST(kind AS BLOB), CAST(actor AS BLOB), CAST(idempotency_key AS BLOB),
                CAST(request AS BLOB), CAST(act AS BLOB), CAST(outcome AS BLOB),
                CAST(changes AS BLOB), status, CAST(answer AS BLOB), previous, hash
         FROM records WHERE id > ?1 ORDER BY id",
    )?;
    let mut entries = EntryReader::after(database, movement)?;
    records.each(vec![integer(after)], |row| {
        let mut record = read_record(row)?;
        record.entries = entries.of(record.id)?;
        each(record)
    })?;
    entries.stray.map_or(Ok(()), Err)
}

/// A reader of movements in order, in portions, while their records are read.
struct EntryReader {
    statement: Statement,
    last: u64,
    ready: VecDeque<(u64, Entry)>,
    finished: bool,
    /// The error of a movement that cannot be read. It is returned with its record, after errors of earlier
    /// ones.
    broken: Option<StorageError>,
    /// The first movement whose record number is lower than that of its predecessors. It is reported last,
    /// because the record that lacks it has a wrong hash, which is reported before.
    stray: Option<StorageError>,
}

impl EntryReader {
    const AT_ONCE: usize = 1024;

    fn after(database: &Database, movement: u64) -> Result<Self> {
        Ok(Self {
            statement: database.prepare(
                "SELECT id, record, CAST(source AS BLOB), CAST(destination AS BLOB),
                        CAST(asset AS BLOB), amount, source_after, destination_after,
                        source_previous, destination_previous, part
                 FROM movements WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?,
            last: movement,
            ready: VecDeque::new(),
            finished: false,
            broken: None,
            stray: None,
        })
    }

    fn of(&mut self, record: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            if self.ready.is_empty() && !self.finished {
                self.fill()?;
            }
            match self.ready.front() {
                Some((owner, _)) if *owner == record => {
                    entries.extend(self.ready.pop_front().map(|(_, entry)| entry));
                }
                Some((owner, _)) if (1..record).contains(owner) => self.pass_stray(),
                // A movement of a later record, or of none, is left. The record that lacks it has a wrong
                // hash.
                Some(_) => return Ok(entries),
                None => return self.broken_at(record).map_or(Ok(entries), Err),
            }
        }
    }

    fn pass_stray(&mut self) {
        let Some((owner, entry)) = self.ready.pop_front() else {
            return;
        };
        let number = entry.number;
        let what = format!("movement {number} says that it is of it, and stands among later ones");
        let stray = || StorageError::damaged(owner, what);
        self.stray.get_or_insert_with(stray);
    }

    fn broken_at(&mut self, record: u64) -> Option<StorageError> {
        self.broken.take_if(
            |error| !matches!(error, StorageError::Damaged { record: at, .. } if *at > record),
        )
    }

    fn fill(&mut self) -> Result<()> {
        let ready = &mut self.ready;
        let broken = &mut self.broken;
        let values = vec![integer(self.last), integer(Self::AT_ONCE as u64)];
        self.statement.each(values, |row| {
            match read_entry(row) {
                Ok(entry) => ready.push_back(entry),
                Err(error) => *broken = Some(error),
            }
            Ok(broken.is_none())
        })?;
        self.finished = self.ready.len() < Self::AT_ONCE;
        self.last = self
            .ready
            .back()
            .map_or(self.last, |(_, entry)| entry.number);
        Ok(())
    }
}

/// A whole number.
pub(crate) fn number(row: &Row, column: i32, record: u64) -> Result<i64> {
    match row.get_value(column)? {
        Value::Integer(number) => Ok(number),
        other => Err(mistyped(record, column, &other)),
    }
}

/// A number that may be absent.
pub(crate) fn number_or_none(row: &Row, column: i32, record: u64) -> Result<Option<i64>> {
    match row.get_value(column)? {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(number)),
        other => Err(mistyped(record, column, &other)),
    }
}

/// A number that is never negative.
pub(crate) fn count(row: &Row, column: i32, record: u64) -> Result<u64> {
    let number = number(row, column, record)?;
    u64::try_from(number).map_err(|_| StorageError::damaged(record, "a number is below zero"))
}

/// Bytes.
pub(crate) fn bytes(row: &Row, column: i32, record: u64) -> Result<Vec<u8>> {
    match row.get_value(column)? {
        Value::Blob(bytes) => Ok(bytes),
        other => Err(mistyped(record, column, &other)),
    }
}

/// Returns a text. It is selected as a blob, because libsql cuts a text at its first zero byte and panics if
/// it is not UTF-8.
pub(crate) fn string(row: &Row, column: i32, record: u64) -> Result<String> {
    match row.get_value(column)? {
        Value::Blob(bytes) => String::from_utf8(bytes)
            .map_err(|error| StorageError::damaged(record, format!("column {column}: {error}"))),
        other => Err(mistyped(record, column, &other)),
    }
}

/// A text that may be absent.
pub(crate) fn string_or_none(row: &Row, column: i32, record: u64) -> Result<Option<String>> {
    match row.get_value(column)? {
        Value::Null => Ok(None),
        _ => string(row, column, record).map(Some),
    }
}

fn mistyped(record: u64, column: i32, found: &Value) -> StorageError {
    let what = match found {
        Value::Null => "nothing",
        Value::Integer(_) => "a whole number",
        Value::Real(_) => "a number with a fraction",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
    };
    StorageError::damaged(record, format!("column {column} holds {what}"))
}

pub(crate) fn name<T: std::str::FromStr>(row: &Row, column: i32, record: u64) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    string(row, column, record)?
        .parse()
        .map_err(|error| StorageError::damaged(record, error))
}

pub(crate) fn digest(row: &Row, column: i32, record: u64) -> Result<Digest> {
    let bytes = bytes(row, column, record)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| StorageError::damaged(record, "a hash is cut"))?;
    Ok(Digest::from_bytes(bytes))
}

/// Returns the outcome of an act.
pub(crate) fn outcome(row: &Row, column: i32, record: u64) -> Result<Outcome> {
    let found = Outcome::parse(&string(row, column, record)?);
    found.ok_or_else(|| StorageError::damaged(record, "an unknown outcome"))
}

fn read_record(row: &Row) -> Result<Record> {
    let id = unsigned(row.get(0)?)?;
    Ok(Record {
        id,
        economy: name(row, 1, id)?,
        seq: count(row, 2, id)?,
        epoch: count(row, 3, id)?,
        version: string(row, 4, id)?,
        recorded_at: Timestamp(count(row, 5, id)?),
        kind: string(row, 6, id)?,
        actor: string(row, 7, id)?,
        key: string_or_none(row, 8, id)?,
        request: string(row, 9, id)?,
        act: string(row, 10, id)?,
        outcome: outcome(row, 11, id)?,
        changes: string(row, 12, id)?,
        entries: Vec::new(),
        status: status(row, 13, id)?,
        answer: string(row, 14, id)?.into(),
        previous: digest(row, 15, id)?,
        hash: digest(row, 16, id)?,
    })
}

/// Returns a movement and the number of its record, from the first eleven columns.
pub(crate) fn read_entry(row: &Row) -> Result<(u64, Entry)> {
    // A movement with an invalid record number belongs to no record.
    let record = u64::try_from(number(row, 1, 0)?).unwrap_or_default();
    let amount = count(row, 5, record)?;
    let amount = Amount::new(amount)
        .ok_or_else(|| StorageError::damaged(record, "an amount is out of range"))?;
    let posting = Posting {
        source: name(row, 2, record)?,
        destination: name(row, 3, record)?,
        asset: name(row, 4, record)?,
        amount,
    };
    let previous = |column: i32| -> Result<Option<u64>> {
        let number = number_or_none(row, column, record)?;
        let below = |_| StorageError::damaged(record, "a link leads below zero");
        number.map(u64::try_from).transpose().map_err(below)
    };
    let part = u32::try_from(number(row, 10, record)?)
        .map_err(|_| StorageError::damaged(record, "a part is out of range"))?;
    let movement = Movement {
        part,
        posting,
        source_after: number(row, 6, record)?,
        destination_after: number(row, 7, record)?,
    };
    let link = HistoryLink {
        source_previous: previous(8)?,
        destination_previous: previous(9)?,
    };
    Ok((
        record,
        Entry {
            number: count(row, 0, record)?,
            movement,
            link,
        },
    ))
}

//! Rows to values and back: the only place that knows what is in which column.

use std::collections::VecDeque;

use bursar_ledger::{Amount, Digest, Link, Movement, Posting, Timestamp};
use libsql::{Row, Value};
use serde::Serialize;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::record::{Entry, Outcome, Record, Stored};

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

/// The answer of a record.
pub(crate) fn stored(find: &mut Statement, record: u64) -> Result<Stored> {
    let stored = find.first(vec![integer(record)], |row| {
        Ok(Stored {
            request: row.get(0)?,
            status: status(row.get(1)?)?,
            body: row.get::<String>(2)?.into(),
        })
    })?;
    stored.ok_or_else(|| StorageError::damaged(record, "a key leads to it, and it is missing"))
}

fn status(number: i64) -> Result<u16> {
    u16::try_from(number).map_err(|_| StorageError::damaged(0, "a status is out of range"))
}

/// Reads all records after a record, in order, with their movements (those after `movement`), until
/// `each` says enough.
pub(crate) fn each_record(
    database: &Database,
    after: u64,
    movement: u64,
    mut each: impl FnMut(Record) -> Result<bool>,
) -> Result<()> {
    let mut records = database.prepare(
        "SELECT id, economy, seq, epoch, recorded_at, kind, actor, idempotency_key, request, act,
                outcome, changes, status, answer, previous, hash
         FROM records WHERE id > ?1 ORDER BY id",
    )?;
    let mut entries = EntryReader::after(database, movement)?;
    records.each(vec![integer(after)], |row| {
        let mut record = read_record(row)?;
        record.entries = entries.of(record.id)?;
        each(record)
    })
}

/// Reads movements in order, some at a time, beside the records that they belong to.
struct EntryReader {
    statement: Statement,
    last: u64,
    ready: VecDeque<(u64, Entry)>,
    finished: bool,
}

impl EntryReader {
    const AT_ONCE: usize = 1024;

    fn after(database: &Database, movement: u64) -> Result<Self> {
        Ok(Self {
            statement: database.prepare(
                "SELECT id, record, source, destination, asset, amount, source_after,
                        destination_after, source_previous, destination_previous, part
                 FROM movements WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?,
            last: movement,
            ready: VecDeque::new(),
            finished: false,
        })
    }

    fn of(&mut self, record: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            if self.ready.is_empty() && !self.finished {
                self.fill()?;
            }
            match self.ready.front() {
                Some((owner, _)) if *owner < record => {
                    return Err(StorageError::damaged(
                        *owner,
                        "a movement without its record",
                    ));
                }
                Some((owner, _)) if *owner == record => {
                    entries.extend(self.ready.pop_front().map(|(_, entry)| entry));
                }
                Some(_) | None => return Ok(entries),
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        let ready = &mut self.ready;
        let values = vec![integer(self.last), integer(Self::AT_ONCE as u64)];
        self.statement.each(values, |row| {
            ready.push_back(read_entry(row)?);
            Ok(true)
        })?;
        self.finished = self.ready.len() < Self::AT_ONCE;
        self.last = self
            .ready
            .back()
            .map_or(self.last, |(_, entry)| entry.number);
        Ok(())
    }
}

pub(crate) fn name<T: std::str::FromStr>(row: &Row, column: i32, record: u64) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    row.get::<String>(column)?
        .parse()
        .map_err(|error| StorageError::damaged(record, error))
}

pub(crate) fn digest(row: &Row, column: i32, record: u64) -> Result<Digest> {
    let bytes: Vec<u8> = row.get(column)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| StorageError::damaged(record, "a hash is cut"))?;
    Ok(Digest::from_bytes(bytes))
}

fn read_record(row: &Row) -> Result<Record> {
    let id = unsigned(row.get(0)?)?;
    let outcome: String = row.get(10)?;
    Ok(Record {
        id,
        economy: name(row, 1, id)?,
        seq: unsigned(row.get(2)?)?,
        epoch: unsigned(row.get(3)?)?,
        recorded_at: Timestamp(unsigned(row.get(4)?)?),
        kind: row.get(5)?,
        actor: row.get(6)?,
        key: row.get(7)?,
        request: row.get(8)?,
        act: row.get(9)?,
        outcome: Outcome::parse(&outcome)
            .ok_or_else(|| StorageError::damaged(id, "an unknown outcome"))?,
        changes: row.get(11)?,
        entries: Vec::new(),
        status: status(row.get(12)?)?,
        answer: row.get::<String>(13)?.into(),
        previous: digest(row, 14, id)?,
        hash: digest(row, 15, id)?,
    })
}

/// A movement with its record, from its first eleven columns.
pub(crate) fn read_entry(row: &Row) -> Result<(u64, Entry)> {
    let record = unsigned(row.get(1)?)?;
    let amount = unsigned(row.get(5)?)?;
    let amount = Amount::new(amount)
        .ok_or_else(|| StorageError::damaged(record, "an amount is out of range"))?;
    let posting = Posting {
        source: name(row, 2, record)?,
        destination: name(row, 3, record)?,
        asset: name(row, 4, record)?,
        amount,
    };
    let previous = |column: i32| -> Result<Option<u64>> {
        row.get::<Option<i64>>(column)?.map(unsigned).transpose()
    };
    let part = u32::try_from(row.get::<i64>(10)?)
        .map_err(|_| StorageError::damaged(record, "a part is out of range"))?;
    let movement = Movement {
        part,
        posting,
        source_after: row.get(6)?,
        destination_after: row.get(7)?,
    };
    let link = Link {
        source_previous: previous(8)?,
        destination_previous: previous(9)?,
    };
    Ok((
        record,
        Entry {
            number: unsigned(row.get(0)?)?,
            movement,
            link,
        },
    ))
}

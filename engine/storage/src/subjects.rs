//! Records by what they are about: the ids of transfers, holds and calls.
//!
//! Ids are made in the order of time, so new rows of the index are neighbours, and what became of
//! something is mostly written soon after it.

use bursar_ledger::{Act, EconomyId, Movement, SubjectId, Timestamp};
use libsql::Value as Cell;
use serde_json::Value;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::record::{Entry, Outcome};
use crate::request::words;
use crate::rows;

type Result<T> = std::result::Result<T, StorageError>;

/// A row of the index: what a record is about, and the first movement of it if something moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SubjectRow {
    pub(crate) id: SubjectId,
    pub(crate) movement: Option<u64>,
}

impl SubjectRow {
    /// The rows of a record.
    pub(crate) fn of(act: &Act, outcome: Outcome, entries: &[Entry]) -> Vec<Self> {
        let found = match (outcome, act) {
            // A call is asked about however it ended; of all else only what happened has an id.
            (Outcome::Applied, _)
            | (Outcome::Rejected | Outcome::Declined | Outcome::Faulted, Act::Call(_)) => {
                act.subjects()
            }
            (Outcome::Rejected | Outcome::Declined | Outcome::Faulted, _) => Vec::new(),
        };
        // Parts stand in order in the record, and subjects name them in that order.
        let mut rest = entries;
        let mut first_of = |part: u32| {
            let before = rest.iter().take_while(|entry| entry.movement.part < part);
            rest = rest.get(before.count()..)?;
            let first = rest.first()?;
            (first.movement.part == part).then_some(first.number)
        };
        found
            .into_iter()
            .map(|subject| Self {
                id: subject.id,
                movement: subject.part.and_then(&mut first_of),
            })
            .collect()
    }
}

/// Writes the index, and looks single rows up.
pub(crate) struct SubjectIndex {
    insert: Statement,
    find: Statement,
}

impl SubjectIndex {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            insert: database
                .prepare("INSERT INTO subjects (id, record, movement) VALUES (?1, ?2, ?3)")?,
            find: database
                .prepare("SELECT movement FROM subjects WHERE id = ?1 AND record = ?2")?,
        })
    }

    /// Adds a row, in the txn of its record.
    pub(crate) fn insert(&mut self, row: &SubjectRow, record: u64) -> Result<()> {
        self.insert.run(vec![
            Cell::Blob(row.id.to_vec()),
            integer(record),
            optional(row.movement.map(integer)),
        ])
    }

    /// Whether the index has a row as it must be.
    pub(crate) fn has(&mut self, row: &SubjectRow, record: u64) -> Result<bool> {
        let values = vec![Cell::Blob(row.id.to_vec()), integer(record)];
        let found = self
            .find
            .first(values, |row| rows::number_or_none(row, 0, record))?;
        let due = row.movement.map(i64::try_from).transpose();
        Ok(due.is_ok_and(|due| found == Some(due)))
    }
}

/// A record that is about something.
#[derive(Clone, PartialEq, Debug)]
pub struct SubjectRecord {
    /// The record's number in its economy.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// How it ended: `applied`, `rejected`, `declined` or `faulted`.
    pub outcome: String,
    /// Who asked: the id of an API key.
    pub actor: String,
    /// The idempotency key under which it was asked.
    pub key: Option<String>,
    /// What was asked, as JSON: method, path and body.
    pub request: Value,
    /// What was decided upon.
    pub act: Act,
    /// What was answered, as JSON.
    pub answer: Value,
    /// What moved as a part of the subject, and what was there after it.
    pub movements: Vec<Movement>,
}

impl SubjectRecord {
    /// What the client said of the transfer.
    pub fn words(&self) -> Option<&Value> {
        let part = self.movements.first().map_or(0, |movement| movement.part);
        words(&self.request, self.act.kind(), part)
    }
}

/// Finds the records that are about something.
pub(crate) struct About {
    records: Statement,
    movements: Statement,
}

impl About {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            records: database.prepare(
                "SELECT records.id, seq, recorded_at, CAST(outcome AS BLOB), CAST(actor AS BLOB),
                        CAST(idempotency_key AS BLOB), CAST(request AS BLOB), CAST(act AS BLOB),
                        CAST(answer AS BLOB), movement
                 FROM subjects JOIN records ON records.id = subjects.record
                 WHERE subjects.id = ?1 AND economy = ?2 ORDER BY records.id",
            )?,
            movements: database.prepare(
                "SELECT id, record, CAST(source AS BLOB), CAST(destination AS BLOB),
                        CAST(asset AS BLOB), amount, source_after, destination_after,
                        source_previous, destination_previous, part
                 FROM movements WHERE id >= ?1 ORDER BY id",
            )?,
        })
    }

    /// The records about a subject, oldest first.
    pub(crate) fn find(
        &mut self,
        economy: &EconomyId,
        subject: SubjectId,
    ) -> Result<Vec<SubjectRecord>> {
        let mut found = Vec::new();
        let values = vec![Cell::Blob(subject.to_vec()), text(economy.as_str())];
        self.records.each(values, |row| {
            let record = rows::unsigned(row.get(0)?)?;
            let damaged = |error| StorageError::damaged(record, error);
            let json = |column: i32| -> Result<Value> {
                serde_json::from_str(&rows::string(row, column, record)?).map_err(damaged)
            };
            let first = row.get::<Option<i64>>(9)?.map(rows::unsigned).transpose()?;
            let about = SubjectRecord {
                seq: rows::unsigned(row.get(1)?)?,
                recorded_at: Timestamp(rows::unsigned(row.get(2)?)?),
                outcome: rows::string(row, 3, record)?,
                actor: rows::string(row, 4, record)?,
                key: rows::string_or_none(row, 5, record)?,
                request: json(6)?,
                act: serde_json::from_str(&rows::string(row, 7, record)?).map_err(damaged)?,
                answer: json(8)?,
                movements: Vec::new(),
            };
            found.push((record, first, about));
            Ok(true)
        })?;
        let mut records = Vec::with_capacity(found.len());
        for (record, first, mut about) in found {
            if let Some(first) = first {
                about.movements = self.movements_from(record, first)?;
            }
            records.push(about);
        }
        Ok(records)
    }

    /// The movements of one part of a record.
    pub(crate) fn movements_from(&mut self, record: u64, first: u64) -> Result<Vec<Movement>> {
        let mut movements: Vec<Movement> = Vec::new();
        self.movements.each(vec![integer(first)], |row| {
            let (owner, Entry { movement, .. }) = rows::read_entry(row)?;
            let part = movements.first().map_or(movement.part, |first| first.part);
            if owner != record || movement.part != part {
                return Ok(false);
            }
            movements.push(movement);
            Ok(true)
        })?;
        Ok(movements)
    }
}

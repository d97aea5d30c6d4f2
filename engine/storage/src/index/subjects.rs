//! The index from the ids of transfers, holds and calls to their records.
//!
//! Ids are UUIDs of version 7 (RFC 9562), which sort by time, so new rows of the index are neighbours.

use bursar_ledger::{
    Act, Change, EconomyId, Hold, HoldEnd, HoldId, Movement, SubjectId, Timestamp,
};
use libsql::Value as Cell;
use serde_json::Value;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::record::{Entry, Outcome};
use crate::request::words;
use crate::rows;

type Result<T> = std::result::Result<T, StorageError>;

/// A row of the index: a subject of a record, and its first movement if it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SubjectRow {
    pub(crate) id: SubjectId,
    pub(crate) movement: Option<u64>,
}

impl SubjectRow {
    /// Returns the rows of a record.
    pub(crate) fn of(act: &Act, outcome: Outcome, entries: &[Entry]) -> Vec<Self> {
        let found = match (outcome, act) {
            // Clients look up calls with any ending, but of other acts only those that were applied.
            (Outcome::Applied, _) | (_, Act::Call(_)) => act.subjects(),
            (Outcome::Rejected | Outcome::Declined | Outcome::Faulted | Outcome::Broken, _) => {
                Vec::new()
            }
        };
        // The parts of a record have the order of its subjects.
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

/// The writer of the index.
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

    /// Adds a row in the transaction of its record.
    pub(crate) fn insert(&mut self, row: &SubjectRow, record: u64) -> Result<()> {
        self.insert.run(vec![
            Cell::Blob(row.id.to_vec()),
            integer(record),
            optional(row.movement.map(integer)),
        ])
    }

    /// Returns true if the index has the row.
    pub(crate) fn has(&mut self, row: &SubjectRow, record: u64) -> Result<bool> {
        let values = vec![Cell::Blob(row.id.to_vec()), integer(record)];
        let found = self
            .find
            .first(values, |row| rows::number_or_none(row, 0, record))?;
        let due = row.movement.map(i64::try_from).transpose();
        Ok(due.is_ok_and(|due| found == Some(due)))
    }
}

/// The record of a transfer.
#[derive(Clone, PartialEq, Debug)]
pub struct SubjectRecord {
    /// The record's number in its economy.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The canonical request as JSON: method, path and body.
    pub request: Value,
    /// The act.
    pub act: Act,
    /// The movements of the transfer, with the balances after them.
    pub movements: Vec<Movement>,
}

impl SubjectRecord {
    /// Returns the client's texts about the transfer.
    pub fn words(&self) -> Option<&Value> {
        let part = self.movements.first().map_or(0, |movement| movement.part);
        words(&self.request, self.act.kind(), part)
    }
}

/// The history of a hold.
#[derive(Clone, PartialEq, Debug)]
pub struct HoldHistory {
    /// The hold as it was placed.
    pub placed: Hold,
    /// The total captured amount.
    pub captured: u64,
    /// The end of the hold and its time, if it has ended.
    pub ended: Option<(HoldEnd, Timestamp)>,
}

impl HoldHistory {
    fn of(placed: &Hold) -> Self {
        Self {
            placed: placed.clone(),
            captured: 0,
            ended: None,
        }
    }

    fn capture(&mut self, amount: u64, at: Timestamp) {
        self.captured = self.captured.saturating_add(amount);
        if self.captured >= self.placed.remaining.get() {
            self.ended = Some((HoldEnd::Captured, at));
        }
    }

    /// Applies a change of a record. An end with a movement captured all that was left.
    fn change(history: &mut Option<Self>, id: HoldId, change: &Change, at: Timestamp, moved: bool) {
        match (change, history) {
            (Change::HoldPlaced { hold, placed }, history) if *hold == id => {
                *history = Some(Self::of(placed));
            }
            (Change::HoldCaptured { hold, amount }, Some(history)) if *hold == id => {
                history.capture(amount.get(), at);
            }
            (Change::HoldEnded { hold, end }, Some(history)) if *hold == id => {
                if moved && *end == HoldEnd::Expired {
                    history.captured = history.placed.remaining.get();
                }
                history.ended = Some((*end, at));
            }
            (_, _) => {}
        }
    }
}

/// A reader of records by subject.
pub(crate) struct About {
    maker: Statement,
    record: Statement,
    movements: Statement,
    changes: Statement,
}

impl About {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            // The record that places a hold has no movement. The hold's id becomes that of a transfer only if
            // the expiry moves the remaining amount.
            maker: database.prepare(
                "SELECT records.id, movement FROM subjects JOIN records
                     ON records.id = subjects.record
                 WHERE subjects.id = ?1 AND economy = ?2 AND movement IS NOT NULL
                     AND (kind = 'expire_hold' OR subjects.record = (
                         SELECT min(record) FROM subjects WHERE id = ?1))
                 ORDER BY records.id LIMIT 1",
            )?,
            record: database.prepare(
                "SELECT seq, recorded_at, CAST(actor AS BLOB), CAST(idempotency_key AS BLOB),
                        CAST(request AS BLOB), CAST(act AS BLOB)
                 FROM records WHERE id = ?1",
            )?,
            movements: database.prepare(
                "SELECT id, record, CAST(source AS BLOB), CAST(destination AS BLOB),
                        CAST(asset AS BLOB), amount, source_after, destination_after,
                        source_previous, destination_previous, part
                 FROM movements WHERE id >= ?1 ORDER BY id",
            )?,
            changes: database.prepare(
                "SELECT records.id, recorded_at, CAST(changes AS BLOB), movement IS NOT NULL
                 FROM subjects JOIN records ON records.id = subjects.record
                 WHERE subjects.id = ?1 AND economy = ?2 ORDER BY records.id",
            )?,
        })
    }

    /// Returns the movements of a transfer, which are empty if the economy has no such transfer.
    pub(crate) fn moved(&mut self, economy: &EconomyId, id: SubjectId) -> Result<Vec<Movement>> {
        match self.maker(economy, id)? {
            Some((record, first)) => self.movements_from(record, first),
            None => Ok(Vec::new()),
        }
    }

    /// The record of a transfer.
    pub(crate) fn transfer(
        &mut self,
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Option<SubjectRecord>> {
        let Some((record, first)) = self.maker(economy, id)? else {
            return Ok(None);
        };
        let movements = self.movements_from(record, first)?;
        self.record.first(vec![integer(record)], |row| {
            let damaged = |error| StorageError::damaged(record, error);
            let request = rows::string(row, 4, record)?;
            let act = rows::string(row, 5, record)?;
            Ok(SubjectRecord {
                seq: rows::count(row, 0, record)?,
                recorded_at: Timestamp(rows::count(row, 1, record)?),
                actor: rows::string(row, 2, record)?,
                key: rows::string_or_none(row, 3, record)?,
                request: serde_json::from_str(&request).map_err(damaged)?,
                act: serde_json::from_str(&act).map_err(damaged)?,
                movements: movements.clone(),
            })
        })
    }

    /// Returns the history of a hold, or `None` if the economy has no such hold.
    pub(crate) fn hold(
        &mut self,
        economy: &EconomyId,
        hold: HoldId,
    ) -> Result<Option<HoldHistory>> {
        self.hold_before(economy, hold, u64::MAX)
    }

    /// Returns the history of a hold before a record, or `None` if the economy did not have it then.
    pub(crate) fn hold_before(
        &mut self,
        economy: &EconomyId,
        hold: HoldId,
        before: u64,
    ) -> Result<Option<HoldHistory>> {
        let id = SubjectId::from(hold);
        let values = vec![Cell::Blob(id.to_vec()), text(economy.as_str())];
        let mut history = None;
        self.changes.each(values, |row| {
            let record = rows::count(row, 0, 0)?;
            if record >= before {
                return Ok(false);
            }
            let at = Timestamp(rows::count(row, 1, record)?);
            let changes: Vec<Change> = serde_json::from_str(&rows::string(row, 2, record)?)
                .map_err(|error| StorageError::damaged(record, error))?;
            let moved = rows::count(row, 3, record)? > 0;
            for change in &changes {
                HoldHistory::change(&mut history, hold, change, at, moved);
            }
            Ok(true)
        })?;
        Ok(history)
    }

    fn maker(&mut self, economy: &EconomyId, id: SubjectId) -> Result<Option<(u64, u64)>> {
        let values = vec![Cell::Blob(id.to_vec()), text(economy.as_str())];
        self.maker.first(values, |row| {
            let record = rows::count(row, 0, 0)?;
            Ok((record, rows::count(row, 1, record)?))
        })
    }

    /// Returns the movements of one part of a record.
    fn movements_from(&mut self, record: u64, first: u64) -> Result<Vec<Movement>> {
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

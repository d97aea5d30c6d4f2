//! The records of transfers and the histories of holds, by id.

use bursar_ledger::{
    Act, Books, Change, EconomyId, Hold, HoldEnd, HoldId, Movement, SubjectId, Timestamp,
};
use serde_json::Value;

use crate::error::{Result, StorageError};
use crate::query::source::QuerySource;
use crate::record::{Outcome, Record};
use crate::request::words;

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

/// Returns the movements of a transfer, which are empty if the economy has no such transfer.
pub(crate) fn moved(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    id: SubjectId,
) -> Result<Vec<Movement>> {
    let found = find_transfer(source, economy, id)?;
    Ok(found.map_or_else(Vec::new, |(_, movements)| movements))
}

/// Returns the record of a transfer, or `None` if the economy has no such transfer.
pub(crate) fn transfer(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    id: SubjectId,
) -> Result<Option<SubjectRecord>> {
    let Some((record, movements)) = find_transfer(source, economy, id)? else {
        return Ok(None);
    };
    Ok(Some(SubjectRecord {
        seq: record.seq,
        recorded_at: record.recorded_at,
        request: serde_json::from_str(&record.request)
            .map_err(|error| StorageError::damaged(record.id, error))?,
        act: record.act()?,
        actor: record.actor,
        key: record.key,
        movements,
    }))
}

/// Returns the history of a hold before a record of the file, or `None` if the economy did not have it then.
pub(crate) fn hold_before(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    hold: HoldId,
    before: u64,
) -> Result<Option<HoldHistory>> {
    let mut history = None;
    for record in source.records_of_id(economy, hold.into())? {
        if record.id >= before {
            break;
        }
        let moved = movements_part(&record, hold.into())?.is_some();
        for change in &record.changes()? {
            HoldHistory::change(&mut history, hold, change, record.recorded_at, moved);
        }
    }
    Ok(history)
}

/// Finds the record that made a transfer, and the transfer's movements.
///
/// The record that places a hold has no movement. The hold's id becomes that of a transfer only if the expiry moves
/// the remaining amount.
fn find_transfer(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    id: SubjectId,
) -> Result<Option<(Record, Vec<Movement>)>> {
    let records = source.records_of_id(economy, id)?;
    for (place, record) in records.into_iter().enumerate() {
        if place > 0 && record.kind != "expire_hold" {
            continue;
        }
        if let Some(part) = movements_part(&record, id)? {
            let books = source.state.books_of(&record)?;
            let movements = named_part(&record, part, books)?;
            return Ok(Some((record, movements)));
        }
    }
    Ok(None)
}

/// Returns the part of a record's movements that belongs to an id, if there are any.
fn movements_part(record: &Record, id: SubjectId) -> Result<Option<u32>> {
    let act = record.act()?;
    if record.outcome != Outcome::Applied && !matches!(act, Act::Call(_)) {
        return Ok(None);
    }
    let subjects = act.subjects();
    let subject = subjects.iter().find(|subject| subject.id == id);
    let part = subject.and_then(|subject| subject.part);
    Ok(part.filter(|part| record.movements.iter().any(|it| it.part == *part)))
}

/// Returns the movements of one part of a record, by name.
fn named_part(record: &Record, part: u32, books: &Books) -> Result<Vec<Movement>> {
    let movements = record.movements.iter().filter(|it| it.part == part);
    let named = movements.map(|it| books.name_movement(it));
    let named: Option<Vec<Movement>> = named.collect();
    named.ok_or_else(|| StorageError::damaged(record.id, "a movement names no account"))
}

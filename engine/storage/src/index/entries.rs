//! The entries that a record adds to the index.

use bursar_ledger::{Act, SubjectId};

use crate::error::StorageError;
use crate::index::entry::{MovementSides, RecordEntries};
use crate::record::{Outcome, Record};

/// Returns the ids by which a record is found. Clients look up calls with any ending, but of other acts only those that
/// were applied.
pub(crate) fn ids_of(act: &Act, outcome: Outcome) -> Vec<SubjectId> {
    match (outcome, act) {
        (Outcome::Applied, _) | (_, Act::Call(_)) => {
            let subjects = act.subjects().into_iter();
            let mut ids: Vec<SubjectId> = subjects.map(|subject| subject.id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        }
        (Outcome::Rejected | Outcome::Declined | Outcome::Faulted | Outcome::Broken, _) => {
            Vec::new()
        }
    }
}

/// Returns the entries of a record that was read from the log.
pub(crate) fn entries_of_read(record: &Record) -> Result<RecordEntries, StorageError> {
    let ids = ids_of(&record.act()?, record.outcome);
    Ok(entries_of(record, &ids))
}

/// Returns the entries of a record with these ids.
pub(crate) fn entries_of(record: &Record, ids: &[SubjectId]) -> RecordEntries {
    let movements = record.movements.iter().zip(record.first_movement..);
    let movements = movements.map(|(movement, number)| MovementSides {
        movement: number,
        asset: movement.asset.0,
        sides: [
            (movement.source.0, movement.source_after),
            (movement.destination.0, movement.destination_after),
        ],
    });
    RecordEntries {
        record: record.id,
        economy: record.number.0,
        seq: record.seq,
        key: record.key.as_deref().map(Into::into),
        ids: ids.to_vec(),
        movements: movements.collect(),
    }
}

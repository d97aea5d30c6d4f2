//! The rows of a record: one of the record itself, and one of each movement.

use libsql::Value;

use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::tools::listing::ListedRecord;

/// The statements that add records.
pub(super) struct RecordTables {
    insert_record: Statement,
    insert_movement: Statement,
}

impl RecordTables {
    pub(super) fn open(tables: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            insert_record: tables.prepare(
                "INSERT INTO records (number, economy, seq, recorded_at, kind, outcome, actor, idempotency_key,
                    request, act, changes, status, answer, version, epoch, previous, hash)
                 VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', ?4 / 1000.0, 'unixepoch'), ?5, ?6, ?7, ?8,
                    ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?,
            insert_movement: tables.prepare(
                "INSERT INTO movements (number, record, economy, seq, part, source, destination, asset, amount,
                    source_after, destination_after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
        })
    }

    /// Adds a record with its movements.
    pub(super) fn add(&mut self, record: ListedRecord) -> Result<(), StorageError> {
        let economy = record.economy.as_str();
        let movements = record.movements.iter().zip(record.first_movement..);
        for (movement, number) in movements {
            let posting = &movement.posting;
            self.insert_movement.run(vec![
                integer(number),
                integer(record.number),
                text(economy),
                integer(record.seq),
                integer(movement.part.into()),
                text(posting.source.as_str()),
                text(posting.destination.as_str()),
                text(posting.asset.as_str()),
                integer(posting.amount.get()),
                Value::Integer(movement.source_after),
                Value::Integer(movement.destination_after),
            ])?;
        }
        self.insert_record.run(vec![
            integer(record.number),
            text(economy),
            integer(record.seq),
            integer(record.recorded_at.0),
            text(record.kind),
            text(record.outcome.as_str()),
            text(record.actor),
            optional(record.idempotency_key.map(text)),
            text(record.request),
            text(record.act),
            text(record.changes),
            integer(record.status.into()),
            text(record.answer),
            text(record.version),
            integer(record.epoch),
            text(record.previous.to_string()),
            text(record.hash.to_string()),
        ])
    }
}

//! The mark of the clock in the file: one row, written beside the log.

use bursar_ledger::Timestamp;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;
use crate::time::clock::Mark;

/// Writes the mark, in a txn.
pub(crate) struct MarkTable {
    set: Statement,
}

impl MarkTable {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            set: database.prepare(
                "INSERT INTO clock_mark (id, kept, wall, boot, elapsed_ms) VALUES (1, ?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET kept = excluded.kept, wall = excluded.wall,
                     boot = excluded.boot, elapsed_ms = excluded.elapsed_ms",
            )?,
        })
    }

    pub(crate) fn write(&mut self, mark: &Mark) -> Result<(), StorageError> {
        self.set.run(vec![
            integer(mark.kept.0),
            integer(mark.wall.0),
            text(&mark.boot),
            integer(mark.elapsed_ms),
        ])
    }
}

/// Reads the mark. Returns none if the file was never served for long enough, or the mark cannot be read.
pub(crate) fn load(database: &Database) -> Result<Option<Mark>, StorageError> {
    let mut read =
        database.prepare("SELECT kept, wall, CAST(boot AS BLOB), elapsed_ms FROM clock_mark")?;
    let mark = read.first(Vec::new(), |row| {
        Ok(Mark {
            kept: Timestamp(rows::count(row, 0, 0)?),
            wall: Timestamp(rows::count(row, 1, 0)?),
            boot: rows::string(row, 2, 0)?,
            elapsed_ms: rows::count(row, 3, 0)?,
        })
    });
    match mark {
        Err(error @ StorageError::Damaged { .. }) => {
            tracing::warn!(%error, "the mark of the clock cannot be read; the newest record stands for it");
            Ok(None)
        }
        mark => mark,
    }
}

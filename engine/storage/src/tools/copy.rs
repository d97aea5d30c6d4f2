//! The copy of a file that may be in use, as rows in small slices.
//!
//! A connection to the new file attaches the source as read-only, so it can neither write nor checkpoint there. Frames
//! never change, so those that were published before the copy began are copied under many short snapshots. Everything
//! else is copied under the last snapshot, which decides of which moment the copy is. Only this one keeps the write-ahead
//! log from restarting.
//!
//! The new file is synced piece by piece: one sync of all of it at the end would let the syncs of the writer wait behind
//! it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use libsql::Value;

use crate::background::BackgroundPace;
use crate::cancel::Cancel;
use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::file::stamp::Stamp;
use crate::rows;
use crate::tools::partial::NewFileError;
use crate::wal::Wal;

/// The bytes of the rows that one statement copies. The last row may exceed it.
const SLICE_BYTES: u64 = 256 << 10;

/// The bytes that are written before they are brought to the disk. The last slice may exceed it.
const UNSYNCED_BYTES_MAX: u64 = 1 << 20;

/// A number before all rows. Rows of numbers below 1 do not belong there, and are found when the copy is verified.
const FIRST: Value = Value::Integer(i64::MIN);

/// An error of a copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("the path of a copy must be UTF-8")]
    Path,
    #[error("the write-ahead log grew to {wal_bytes} bytes")]
    Behind { wal_bytes: u64 },
    #[error(transparent)]
    NewFile(#[from] NewFileError),
}

impl From<StorageError> for CopyError {
    fn from(error: StorageError) -> Self {
        Self::NewFile(error.into())
    }
}

/// A source and the conditions of its copy.
pub(crate) struct CopySource<'a> {
    /// The path of the file.
    pub(crate) path: &'a Path,
    /// The newest published record before the copy.
    pub(crate) published: u64,
    /// The bytes to which the write-ahead log may grow during the last snapshot.
    pub(crate) wal_bytes_max: u64,
    /// Cancels the copy.
    pub(crate) cancel: &'a Cancel,
    /// The pauses of the copy.
    pub(crate) pace: &'a BackgroundPace<'a>,
}

impl CopySource<'_> {
    /// Copies the file into an empty one.
    ///
    /// The copy has another stamp, so that the write-ahead log of one is never applied to the other.
    pub(crate) fn copy(&self, to: &Path) -> Result<(), CopyError> {
        if to.to_str().is_none() {
            return Err(CopyError::Path);
        }
        let failed = |source| NewFileError::of_file(to, source);
        // It is opened before SQLite opens the file and closed after it: closing any descriptor of a file drops its locks.
        let file = OpenOptions::new().write(true).open(to).map_err(failed)?;
        let database = Database::open_copy(to, self.path)?;
        let mut copy = RunningCopy {
            source: self,
            database: &database,
            file: &file,
            to,
            unsynced: 0,
            wal: None,
        };
        copy.run()
    }
}

/// A copy that is being made.
struct RunningCopy<'a> {
    source: &'a CopySource<'a>,
    database: &'a Database,
    file: &'a File,
    to: &'a Path,
    /// The bytes that were written since the last sync.
    unsynced: u64,
    /// The write-ahead log of the source during the last snapshot.
    wal: Option<Wal>,
}

impl RunningCopy<'_> {
    fn run(&mut self) -> Result<(), CopyError> {
        let page_size = self.database.number("PRAGMA source.page_size")?;
        // No rollback journal has to protect a file that counts only once it is complete, verified and synced.
        self.database.batch(&format!(
            "PRAGMA main.page_size = {page_size};
             PRAGMA main.journal_mode = OFF;
             PRAGMA main.synchronous = OFF;
             PRAGMA ignore_check_constraints = ON;"
        ))?;
        let parts = self.parts()?;
        for part in parts.iter().filter(|part| part.is_table()) {
            self.database.batch(&part.sql)?;
        }
        let copied = self.copy_frames(FIRST, self.source.published)?;
        self.wal = Some(Wal::of(self.source.path, self.source.wal_bytes_max));
        self.database.batch("BEGIN")?;
        self.copy_frames(copied, u64::MAX)?;
        for part in parts.iter().filter(|part| part.is_table()) {
            match part.name.as_str() {
                "frames" => {}
                "components" => self.copy_components()?,
                "checkpoint_pieces" => self.copy_pieces()?,
                name => self.copy_table(name)?,
            }
        }
        // Triggers are made last, so that they find no rows to change.
        for part in parts.iter().filter(|part| !part.is_table()) {
            self.database.batch(&part.sql)?;
        }
        let application = self.database.number("PRAGMA source.application_id")?;
        let stamp = self.stamp()?.sql();
        self.database.batch(&format!(
            "PRAGMA main.application_id = {application}; PRAGMA main.user_version = {stamp}; COMMIT;"
        ))?;
        Ok(())
    }

    /// Returns the stamp of the copy.
    fn stamp(&self) -> Result<Stamp, StorageError> {
        let stamp = self.database.number("PRAGMA source.user_version")?;
        let stamp = Stamp::of_sql(stamp).with_open(false);
        Ok(stamp.with_generation(self.database.random()?))
    }

    /// Returns the tables, indexes, triggers and views of the source.
    fn parts(&self) -> Result<Vec<SchemaPart>, StorageError> {
        let mut read = self.database.prepare(
            "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(sql AS BLOB) FROM source.sqlite_schema
             WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY rowid",
        )?;
        let mut parts = Vec::new();
        read.each(Vec::new(), |row| {
            parts.push(SchemaPart {
                kind: rows::string(row, 0, 0)?,
                name: rows::string(row, 1, 0)?,
                sql: rows::string(row, 2, 0)?,
            });
            Ok(true)
        })?;
        Ok(parts)
    }

    /// Copies the frames after one, up to those of a record. Returns the number of the last one.
    fn copy_frames(&mut self, after: Value, until: u64) -> Result<Value, CopyError> {
        let until = Value::Integer(i64::try_from(until).unwrap_or(i64::MAX));
        let mut find = self.database.prepare(
            "SELECT id, length(bytes) FROM source.frames WHERE id > ?1 AND id <= ?2 ORDER BY id",
        )?;
        let mut insert = self.database.prepare(
            "INSERT INTO main.frames SELECT * FROM source.frames WHERE id > ?1 AND id <= ?2 ORDER BY id",
        )?;
        let mut after = after;
        while let Some((last, bytes)) = slice(&mut find, vec![after.clone(), until.clone()])? {
            self.insert(&mut insert, vec![after, last.clone()], bytes)?;
            after = last;
        }
        Ok(after)
    }

    fn copy_components(&mut self) -> Result<(), CopyError> {
        let mut find = self
            .database
            .prepare("SELECT digest, length(bytes) FROM source.components ORDER BY digest")?;
        let mut found = Vec::new();
        find.each(Vec::new(), |row| {
            found.push((row.get_value(0)?, rows::count(row, 1, 0)?));
            Ok(true)
        })?;
        let mut insert = self.database.prepare(
            "INSERT INTO main.components SELECT * FROM source.components WHERE digest = ?1",
        )?;
        for (digest, bytes) in found {
            self.insert(&mut insert, vec![digest], bytes)?;
        }
        Ok(())
    }

    /// Copies the pieces of the newest closed checkpoint. No start needs others.
    fn copy_pieces(&mut self) -> Result<(), CopyError> {
        let newest = "SELECT coalesce(max(id), 0) FROM source.checkpoints WHERE pieces IS NOT NULL";
        let newest = Value::Integer(self.database.number(newest)?);
        let mut find = self.database.prepare(
            "SELECT ordinal, length(bytes) FROM source.checkpoint_pieces
             WHERE checkpoint = ?1 AND ordinal > ?2 ORDER BY ordinal",
        )?;
        let mut insert = self.database.prepare(
            "INSERT INTO main.checkpoint_pieces SELECT * FROM source.checkpoint_pieces
             WHERE checkpoint = ?1 AND ordinal > ?2 AND ordinal <= ?3 ORDER BY ordinal",
        )?;
        let mut after = FIRST;
        while let Some((last, bytes)) = slice(&mut find, vec![newest.clone(), after.clone()])? {
            let values = vec![newest.clone(), after, last.clone()];
            self.insert(&mut insert, values, bytes)?;
            after = last;
        }
        Ok(())
    }

    /// Copies a table that is small in each file.
    fn copy_table(&mut self, name: &str) -> Result<(), CopyError> {
        let name = name.replace('"', "\"\"");
        let mut insert = self.database.prepare(&format!(
            "INSERT INTO main.\"{name}\" SELECT * FROM source.\"{name}\""
        ))?;
        self.insert(&mut insert, Vec::new(), 0)
    }

    /// Copies some rows, and pauses if it is time.
    fn insert(
        &mut self,
        insert: &mut Statement,
        values: Vec<Value>,
        bytes: u64,
    ) -> Result<(), CopyError> {
        self.source.cancel.check()?;
        if let Some(wal) = &self.wal
            && let Some(wal_bytes) = wal.excess()
        {
            return Err(CopyError::Behind { wal_bytes });
        }
        let inserted = insert.run(values);
        inserted.map_err(|error| NewFileError::of_sqlite(self.to, error))?;
        self.unsynced += bytes;
        if self.unsynced >= UNSYNCED_BYTES_MAX {
            let synced = self.file.sync_data();
            synced.map_err(|error| NewFileError::of_file(self.to, error))?;
            self.unsynced = 0;
        }
        self.source.pace.step();
        Ok(())
    }
}

/// Returns the last row and the bytes of the next slice of rows. A statement selects the number and the length of each.
fn slice(find: &mut Statement, values: Vec<Value>) -> Result<Option<(Value, u64)>, StorageError> {
    let mut found = None;
    let mut bytes = 0;
    find.each(values, |row| {
        bytes += rows::count(row, 1, 0)?;
        found = Some((row.get_value(0)?, bytes));
        Ok(bytes < SLICE_BYTES)
    })?;
    Ok(found)
}

/// A part of the schema of a file.
struct SchemaPart {
    kind: String,
    name: String,
    sql: String,
}

impl SchemaPart {
    fn is_table(&self) -> bool {
        self.kind == "table"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_end_at_their_limit_or_after_one_row() {
        let database = Database::in_memory().expect("it opens");
        let half = SLICE_BYTES / 2;
        let lengths = [half, half, half - 1, half, 3 * SLICE_BYTES, 1];
        let rows = lengths.iter().zip(1..);
        let rows: Vec<String> = rows.map(|(bytes, id)| format!("({id}, {bytes})")).collect();
        let rows = rows.join(", ");
        let filled = database.batch(&format!(
            "CREATE TABLE lengths (id INTEGER PRIMARY KEY, bytes INTEGER); INSERT INTO lengths VALUES {rows}"
        ));
        filled.expect("rows");
        let mut find = database
            .prepare("SELECT id, bytes FROM lengths WHERE id > ?1 ORDER BY id")
            .expect("a statement");
        let mut after = FIRST;
        let mut ends = Vec::new();
        while let Some((last, bytes)) = slice(&mut find, vec![after]).expect("a slice") {
            ends.push((last.clone(), bytes));
            after = last;
        }
        let expected = [
            (2, SLICE_BYTES),
            (5, 2 * half - 1 + 3 * SLICE_BYTES),
            (6, 1),
        ];
        let expected = expected.map(|(last, bytes)| (Value::Integer(last), bytes));
        assert_eq!(ends, expected);
    }
}

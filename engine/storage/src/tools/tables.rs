//! A copy of a file as plain tables, for any program that reads SQLite files.
//!
//! The records are replayed from the first one with all checks of a start, so the tables are complete and right, or
//! are not there.

mod rows_of_record;
mod rows_of_state;

use std::io;
use std::path::{Path, PathBuf};

use crate::database::Database;
use crate::error::{PRIMARY_CODE, SQLITE_FULL, StorageError};
use crate::file::lock::canonical;
use crate::log::reader::{each_frame, last_record};
use crate::schema;
use crate::state::State;
use crate::tools::listing::ListedRecord;
use crate::tools::partial::Partial;
use rows_of_record::RecordTables;

/// The tables.
const SCHEMA: &str = include_str!("tables/schema.sql");

/// The indexes of the tables.
const INDEXES: &str = include_str!("tables/indexes.sql");

/// The tables of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TablesReport {
    /// The path of the tables.
    pub path: PathBuf,
    /// The number of records.
    pub records: u64,
    /// The number of movements.
    pub movements: u64,
    /// The size in bytes.
    pub bytes: u64,
}

/// An error of a copy as tables. A failed copy leaves no file behind.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The target exists.
    #[error("{0} exists already and is not overwritten: name another path, or remove it")]
    Exists(PathBuf),
    /// The disk is full.
    #[error("the disk is full at {0}; free some space, or name a path on another disk")]
    NoRoom(PathBuf),
    /// The tables could not be written.
    #[error("{path}: {source}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Copies a file as plain tables to an unused path.
pub(crate) fn write(
    path: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<TablesReport, TablesError> {
    let to = canonical(to);
    if to.symlink_metadata().is_ok() {
        return Err(TablesError::Exists(to));
    }
    let partial = Partial::make(&to);
    let partial = partial.map_err(|source| file_error(&Partial::path_of(&to), source))?;
    let state = fill(path, &partial.path, progress).map_err(|error| told(error, &to))?;
    let synced = std::fs::File::open(&partial.path).and_then(|tables| {
        tables.sync_all()?;
        Ok(tables.metadata()?.len())
    });
    let bytes = synced.map_err(|source| file_error(&partial.path, source))?;
    partial
        .publish(&to)
        .map_err(|source| file_error(&to, source))?;
    Ok(TablesReport {
        path: to,
        records: state.record,
        movements: state.movement,
        bytes,
    })
}

/// Writes all rows and returns the state after the newest record.
fn fill(path: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<State, StorageError> {
    let log = Database::open_reader(path)?;
    schema::check(&log)?;
    let last = last_record(&log)?;
    let tables = Database::open_new(to)?;
    // The file has its name only once it is complete and synced, so no journal has to protect it meanwhile.
    tables.batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
    tables.batch(SCHEMA)?;
    let mut rows = RecordTables::open(&tables)?;
    let mut state = State::default();
    each_frame(&log, 0, |frame| {
        let mut reader = frame.reader();
        while let Some((record, link)) = reader.next()? {
            state.replay(&record, &link)?;
            let books = state.books(&record.economy);
            let books =
                books.ok_or_else(|| StorageError::damaged(record.id, "its economy is missing"))?;
            rows.add(ListedRecord::of(record, &link, books)?)?;
        }
        reader.finish(&state.log_head)?;
        state.close_frame(&frame)?;
        progress(state.record, last);
        Ok(true)
    })?;
    rows_of_state::add(&tables, &state)?;
    tables.batch(INDEXES)?;
    tables.batch("COMMIT")?;
    Ok(state)
}

/// Classifies an error of SQLite, which may be one of the disk of the tables.
fn told(error: StorageError, to: &Path) -> TablesError {
    match error {
        StorageError::Database(libsql::Error::SqliteFailure(code, _))
            if code & PRIMARY_CODE == SQLITE_FULL =>
        {
            TablesError::NoRoom(to.to_owned())
        }
        other => other.into(),
    }
}

fn file_error(path: &Path, source: io::Error) -> TablesError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => TablesError::Exists(path.to_owned()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            TablesError::NoRoom(path.to_owned())
        }
        _ => TablesError::File {
            path: path.to_owned(),
            source,
        },
    }
}

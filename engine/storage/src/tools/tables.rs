//! A copy of a file as plain tables, for any program that reads SQLite files.
//!
//! The records are replayed from the first one with all checks of a start, so the tables are either complete and
//! right, or not written.

mod rows_of_record;
mod rows_of_state;

use std::path::{Path, PathBuf};

use crate::database::Database;
use crate::error::StorageError;
use crate::log::reader::{each_frame, each_record, last_record};
use crate::schema;
use crate::state::State;
use crate::tools::listing::ListedRecord;
use crate::tools::partial::{self, NewFileError};
use rows_of_record::RecordTables;

/// The SQL that creates the tables.
const SCHEMA: &str = include_str!("tables/schema.sql");

/// The SQL that creates the indexes of the tables.
const INDEXES: &str = include_str!("tables/indexes.sql");

/// The report on a copy of a file as plain tables.
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

/// Copies a file as plain tables to an unused path.
pub(crate) fn write(
    path: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<TablesReport, NewFileError> {
    let (to, (state, bytes)) = partial::make(to, |partial| {
        let filled = fill(path, &partial.path, progress);
        let state = filled.map_err(|error| NewFileError::of_sqlite(&partial.path, error))?;
        Ok::<_, NewFileError>((state, partial.sync()?))
    })?;
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
    // The file has its name only once it is complete and synced, so no rollback journal has to protect it meanwhile.
    tables.batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
    tables.batch(SCHEMA)?;
    let mut rows = RecordTables::open(&tables)?;
    let mut state = State::default();
    each_frame(&log, 0, |frame| {
        let previous = state.log_head;
        each_record(&frame, &previous, |record, link| {
            state.replay(&record, &link)?;
            let listed = ListedRecord::of(record, &link, &state)?;
            rows.add(listed)?;
            Ok(true)
        })?;
        state.close_frame(&frame)?;
        progress(state.record, last);
        Ok(true)
    })?;
    rows_of_state::add(&tables, &state)?;
    tables.batch(INDEXES)?;
    tables.batch("COMMIT")?;
    Ok(state)
}

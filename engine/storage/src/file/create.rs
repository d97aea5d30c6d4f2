//! The creation of a file. It gets its name once it is complete, so an empty file is never one of Bursar's.

use std::path::Path;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema;
use crate::tools::partial::Partial;

/// Creates a database file at an unused path. The caller has to hold the lock of the file.
pub(crate) fn create(path: &Path) -> Result<(), StorageError> {
    let failed = |source| StorageError::File {
        path: path.to_owned(),
        source,
    };
    // Only the owner can read the file. SQLite gives its companions the same mode.
    let partial = Partial::make_again(path).map_err(failed)?;
    let database = Database::open_new(&partial.path)?;
    schema::migrate(&database)?;
    let stamp = schema::stamp(&database)?;
    let stamp = stamp.with_generation(database.random()?).sql();
    database.batch(&format!(
        "PRAGMA user_version = {stamp}; PRAGMA journal_mode = WAL"
    ))?;
    drop(database);
    partial.publish(path).map_err(failed)
}

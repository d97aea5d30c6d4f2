//! The file's schema: migrations in order, forward only.

use crate::database::Database;
use crate::error::StorageError;

/// "BRSR": marks the file as ours.
const APPLICATION_ID: i64 = 0x4252_5352;

/// Each is run once, in a txn of its own with the step of `user_version`. Released ones are never
/// edited.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_journal.sql")];

/// Brings the file to the newest schema, or says why it cannot be ours.
pub(crate) fn migrate(database: &Database) -> Result<(), StorageError> {
    let tables = database.number("SELECT count(*) FROM sqlite_schema")?;
    let application = database.number("PRAGMA application_id")?;
    // A file that has just been made is nobody's yet.
    if application != 0 || tables > 0 {
        check(database)?;
    }
    let found = database.number("PRAGMA user_version")?;
    let known = newest();
    for (version, sql) in (1..=known)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > found)
    {
        database.batch(&format!(
            "BEGIN IMMEDIATE;
             {sql}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {version};
             COMMIT;"
        ))?;
    }
    Ok(())
}

/// Makes sure that a file is ours and of no later version, and changes nothing.
pub(crate) fn check(database: &Database) -> Result<(), StorageError> {
    let application = database.number("PRAGMA application_id")?;
    if application != APPLICATION_ID {
        return Err(StorageError::Foreign(application));
    }
    let (found, known) = (database.number("PRAGMA user_version")?, newest());
    if found > known {
        return Err(StorageError::TooNew { found, known });
    }
    Ok(())
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

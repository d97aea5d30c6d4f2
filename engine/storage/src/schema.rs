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
    let application = database.number("PRAGMA application_id")?;
    let found = database.number("PRAGMA user_version")?;
    let tables = database.number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(StorageError::Foreign(application));
    }
    let known = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    if found > known {
        return Err(StorageError::TooNew { found, known });
    }
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

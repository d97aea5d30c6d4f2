//! The file's schema: migrations in order, forward only.

use std::collections::BTreeSet;

use crate::database::Database;
use crate::error::StorageError;
use crate::file::stamp::Stamp;
use crate::rows;

/// The application id of a Bursar database, "BRSR".
pub(crate) const APPLICATION_ID: i64 = 0x4252_5352;

/// The migrations. Each runs once, in a txn that also increments the schema in the stamp. A released
/// migration is never edited.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_log.sql")];

/// The number of the first of these schemas. Those before it are of builds that kept rows instead of frames.
const FIRST: i64 = 4;

/// Returns the stamp of a file.
pub(crate) fn stamp(database: &Database) -> Result<Stamp, StorageError> {
    database.number("PRAGMA user_version").map(Stamp::of_sql)
}

/// Migrates a file to the newest schema. Fails if it is not a Bursar database.
pub(crate) fn migrate(database: &Database) -> Result<(), StorageError> {
    let tables = database.number("SELECT count(*) FROM sqlite_schema")?;
    let application = database.number("PRAGMA application_id")?;
    // A new file has no application id yet.
    if application != 0 || tables > 0 {
        check(database)?;
    }
    let mut stamp = stamp(database)?;
    let found = stamp.schema();
    let known = newest();
    for (version, sql) in (FIRST..=known)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > found)
    {
        // Each commit increments the generation.
        stamp = stamp.next().with_schema(version);
        let word = stamp.sql();
        database.batch(&format!(
            "BEGIN IMMEDIATE;
             {sql}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {word};
             COMMIT;"
        ))?;
    }
    Ok(())
}

/// Checks that a file is a Bursar database of no later version, without changing it.
pub(crate) fn check(database: &Database) -> Result<(), StorageError> {
    let application = database.number("PRAGMA application_id")?;
    if application != APPLICATION_ID {
        return Err(StorageError::Foreign(application));
    }
    check_version(stamp(database)?.schema())
}

/// Checks that this version reads a schema. A new file has the schema 0.
pub(crate) fn check_version(found: i64) -> Result<(), StorageError> {
    let known = newest();
    if found > known {
        return Err(StorageError::TooNew { found, known });
    }
    if (1..FIRST).contains(&found) {
        return Err(StorageError::TooOld { found });
    }
    Ok(())
}

/// Describes the difference between the tables, indexes and triggers of a file and the expected ones; none if
/// they are equal. The triggers that protect the log must exist, and there must be no others.
pub(crate) fn difference(database: &Database) -> Result<Option<String>, StorageError> {
    let ours = Database::in_memory()?;
    migrate(&ours)?;
    let ours = parts(&ours)?;
    let found = parts(database)?;
    let missing = ours.difference(&found).next();
    let foreign = found.difference(&ours).next();
    Ok(match (missing, foreign) {
        (Some((name, _)), _) => Some(format!("`{name}` is missing in the file, or was altered")),
        (None, Some((name, _))) => {
            Some(format!("`{name}` was added to the file by another program"))
        }
        (None, None) => None,
    })
}

/// Returns the parts of a file: the name and the SQL of each.
fn parts(database: &Database) -> Result<BTreeSet<(String, String)>, StorageError> {
    let mut read = database
        .prepare(
        "SELECT CAST(type || ' ' || name AS BLOB), CAST(coalesce(sql, '') AS BLOB) FROM sqlite_schema")?;
    let mut parts = BTreeSet::new();
    read.each(Vec::new(), |row| {
        parts.insert((rows::string(row, 0, 0)?, rows::string(row, 1, 0)?));
        Ok(true)
    })?;
    Ok(parts)
}

/// Returns the newest schema that this version knows.
pub(crate) fn newest() -> i64 {
    let migrations = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    FIRST + migrations - 1
}

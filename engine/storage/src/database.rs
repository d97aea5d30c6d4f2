//! The access to libSQL. All statements of this crate are run here.
//!
//! libsql's functions for local files are `async`, but they block, and their futures are ready at the first
//! poll. So the calling thread runs them to their end. A statement is
//! [reset](libsql::Statement::reset) before it is used again, because it would otherwise run with its old
//! values.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libsql::{Builder, Connection, OpenFlags, Row, Value};
use pollster::block_on;

use crate::error::{Result, StorageError};

/// The longest wait of a statement for a lock that another program has on the file. It is enough for a short
/// query by an operator's tool, and shorter than the patience of clients.
const BUSY_PATIENCE_MS: u32 = 5_000;

/// A connection to the file.
pub(crate) struct Database {
    connection: Connection,
}

/// A prepared statement.
pub(crate) struct Statement {
    statement: libsql::Statement,
}

impl Database {
    /// Opens the connection that does every write and every checkpoint of the write-ahead log.
    ///
    /// There must be no other such connection: the bundled SQLite can lose commits when one
    /// connection checkpoints while another writes.
    pub(crate) fn open_writer(path: &Path) -> Result<Self> {
        let database = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        database.batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = -65536;",
        )?;
        Ok(database)
    }

    /// Opens a new, empty file. It is written without a write-ahead log, and is complete once this is
    /// dropped.
    pub(crate) fn open_new(path: &Path) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Opens a new, empty file like [`Self::open_new`], and attaches another one as `source`, which this connection
    /// cannot write or checkpoint.
    pub(crate) fn open_copy(path: &Path, source: &Path) -> Result<Self> {
        let database = Self::open_new(path)?;
        let mut attach = database.prepare("ATTACH ?1 AS source")?;
        attach.run(vec![text(read_only_uri(source))])?;
        Ok(database)
    }

    /// Opens a connection that cannot write, and so cannot checkpoint either.
    pub(crate) fn open_reader(path: &Path) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Opens a new database in memory, which exists as long as this connection.
    pub(crate) fn in_memory() -> Result<Self> {
        Self::open(Path::new(":memory:"), OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Self> {
        let connection = block_on(async {
            Builder::new_local(path)
                .flags(flags)
                .build()
                .await?
                .connect()
        })?;
        let database = Self { connection };
        database.batch(&format!(
            "PRAGMA busy_timeout = {BUSY_PATIENCE_MS};
             PRAGMA foreign_keys = OFF;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA mmap_size = 0;
             PRAGMA temp_store = MEMORY;"
        ))?;
        Ok(database)
    }

    /// Runs statements that take no values.
    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        block_on(self.connection.execute_batch(sql))?;
        Ok(())
    }

    /// Prepares a statement.
    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement> {
        Ok(Statement {
            statement: block_on(self.connection.prepare(sql))?,
        })
    }

    /// Runs a statement without values that returns one number; 0 if it returns no row.
    pub(crate) fn number(&self, sql: &str) -> Result<i64> {
        let number = self
            .prepare(sql)?
            .first(Vec::new(), |row| Ok(row.get::<i64>(0)?))?;
        Ok(number.unwrap_or_default())
    }

    /// Returns a random number.
    pub(crate) fn random(&self) -> Result<u32> {
        let [.., a, b, c, d] = self.number("SELECT random()")?.to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    /// Returns 32 random bytes.
    pub(crate) fn random_bytes(&self) -> Result<[u8; 32]> {
        let drawn = self
            .prepare("SELECT randomblob(32)")?
            .first(Vec::new(), |row| Ok(row.get::<Vec<u8>>(0)?))?;
        let drawn = drawn.unwrap_or_default();
        drawn
            .try_into()
            .map_err(|_| StorageError::damaged(0, "SQLite returned no random bytes"))
    }

    /// Runs several reads under one snapshot of the file, while the writer continues.
    pub(crate) fn reading<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.batch("BEGIN")?;
        let done = read(self);
        let ended = self.batch("COMMIT");
        done.and_then(|done| ended.map(|()| done))
    }

    /// Interrupts the statement that runs on this connection in another thread.
    pub(crate) fn interrupt(&self) {
        // This cannot fail for a local file.
        drop(self.connection.interrupt());
    }

    /// Returns true if a transaction is open.
    pub(crate) fn in_txn(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

impl Statement {
    fn ready(&self, values: &[Value]) -> Result<()> {
        let expected = self.statement.parameter_count();
        let given = values.len();
        if expected != given {
            return Err(StorageError::Parameters { expected, given });
        }
        self.statement.reset();
        Ok(())
    }

    /// Runs a statement that returns no rows.
    pub(crate) fn run(&mut self, values: Vec<Value>) -> Result<()> {
        self.ready(&values)?;
        block_on(self.statement.execute(values))?;
        Ok(())
    }

    /// Reads rows until `each` returns false.
    pub(crate) fn each(
        &mut self,
        values: Vec<Value>,
        mut each: impl FnMut(&Row) -> Result<bool>,
    ) -> Result<()> {
        self.ready(&values)?;
        let read = block_on(async {
            let mut rows = self.statement.query(values).await?;
            while let Some(row) = rows.next().await? {
                if !each(&row)? {
                    break;
                }
            }
            Ok(())
        });
        // A statement that is not read to its end would keep its snapshot of the file open.
        self.statement.reset();
        read
    }

    /// Reads the first row, if there is one.
    pub(crate) fn first<T>(
        &mut self,
        values: Vec<Value>,
        map: impl Fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.each(values, |row| {
            found = Some(map(row)?);
            Ok(false)
        })?;
        Ok(found)
    }
}

/// Returns the URI by which SQLite opens a file as read-only (<https://www.sqlite.org/uri.html>).
fn read_only_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                uri.push(char::from(*byte));
            }
            other => drop(write!(uri, "%{other:02X}")),
        }
    }
    uri.push_str("?mode=ro");
    uri
}

/// Returns a number as SQL stores it, with 64 signed bits.
pub(crate) fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).expect("numbers of rows and moments stay below 2^63"))
}

/// Returns a text as a value of SQL.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// Returns a value that may be absent, which SQL stores as NULL.
pub(crate) fn optional(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_attached_as_it_is_and_cannot_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("a b?mode=rwc#c%41&ü.db");
        let copy = folder.path().join("copy.db");
        for path in [&source, &copy] {
            std::fs::write(path, "").expect("an empty file");
        }
        let database = Database::open_new(&source).expect("a file");
        let filled =
            database.batch("CREATE TABLE numbers (number INTEGER); INSERT INTO numbers VALUES (7)");
        filled.expect("a row");
        let copying = Database::open_copy(&copy, &source).expect("both files");
        let number = copying.number("SELECT number FROM source.numbers");
        assert_eq!(number.expect("a row"), 7);
        let written = copying.batch("INSERT INTO source.numbers VALUES (8)");
        let error = written.expect_err("it is read-only").to_string();
        assert!(error.contains("readonly"), "{error}");
    }
}

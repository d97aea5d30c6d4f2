//! A thin, checked layer over libSQL: every statement in this crate goes through it.
//!
//! libsql's local calls block inside `async fn` and their futures are ready at the first poll, so
//! they are driven here, on whichever thread calls. [`Statement::reset`](libsql::Statement::reset)
//! comes before each reuse: without it a statement silently runs with its old values again.

use std::path::Path;

use libsql::{Builder, Connection, OpenFlags, Row, Value};
use pollster::block_on;

use crate::error::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

/// How long a statement waits for a lock that another program has on the file: long enough for a
/// look with some other tool, and shorter than anybody waits for an answer.
const BUSY_PATIENCE_MS: u32 = 5_000;

/// One connection to the file.
pub(crate) struct Database {
    connection: Connection,
}

/// One statement, prepared once.
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

    /// Opens a file that was just made and has no bytes yet. It is written without a log, and whole once
    /// this is dropped.
    pub(crate) fn open_new(path: &Path) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Opens a connection that cannot write, and so cannot checkpoint either.
    pub(crate) fn open_reader(path: &Path) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// A database of its own that is gone with its connection.
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

    /// The one number that a statement without values gives.
    pub(crate) fn number(&self, sql: &str) -> Result<i64> {
        let number = self
            .prepare(sql)?
            .first(Vec::new(), |row| Ok(row.get::<i64>(0)?))?;
        Ok(number.unwrap_or_default())
    }

    /// A number that nobody can tell.
    pub(crate) fn random(&self) -> Result<u32> {
        let [.., a, b, c, d] = self.number("SELECT random()")?.to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    /// Reads several things from one moment of the file, while the writer goes on.
    pub(crate) fn reading<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.batch("BEGIN")?;
        let done = read(self);
        let ended = self.batch("COMMIT");
        done.and_then(|done| ended.map(|()| done))
    }

    /// Breaks off what runs on this connection now, from another thread.
    pub(crate) fn interrupt(&self) {
        // It cannot fail on a file of our own.
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

    /// Runs a statement that gives no rows.
    pub(crate) fn run(&mut self, values: Vec<Value>) -> Result<()> {
        self.ready(&values)?;
        block_on(self.statement.execute(values))?;
        Ok(())
    }

    /// Reads rows until `each` says enough.
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
        // A statement left in the middle would keep its snapshot of the file open.
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

/// A number that SQL keeps as 64 signed bits.
pub(crate) fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).expect("numbers of rows and moments stay below 2^63"))
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A text that may be absent.
pub(crate) fn optional(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Null)
}

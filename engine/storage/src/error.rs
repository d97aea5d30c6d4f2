//! Errors of files, and of submissions to them.

use std::path::PathBuf;

use crate::file::owner::Owner;
use crate::index::IndexOpenError;
use crate::index::error::IndexError;
use crate::time::clock::ClockError;

/// The result of work on a database file.
pub(crate) type Result<T> = std::result::Result<T, StorageError>;

/// An error of a database file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// libSQL reported an error.
    #[error("database error: {0}")]
    Database(#[from] libsql::Error),
    /// The lock file or the database file could not be opened.
    #[error("{path}: {source}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process owns the file.
    #[error("{path} is owned by process {pid}")]
    Busy {
        /// The path of the file.
        path: PathBuf,
        /// The process that owns it.
        pid: u32,
        /// The address of that process, if it has announced one.
        owner: Option<Box<Owner>>,
    },
    /// A newer version wrote the file.
    #[error("the file has schema {found}, and this version knows {known}: use a newer bursar")]
    TooNew {
        /// The file's schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// An earlier build wrote the file, with a log of rows that this version does not read.
    #[error(
        "the file has schema {found} and was written by an earlier build, which kept a log of rows. Run \
         `bursar export` of that build for each economy, and import the lines into a new file"
    )]
    TooOld {
        /// The file's schema.
        found: i64,
    },
    /// The path holds something other than a Bursar database, and none can be created there.
    #[error("{path}: {reason}")]
    NotOurs {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: ForeignFile,
    },
    /// The write-ahead log next to the file belongs to another file, or to an earlier copy of this one.
    #[error(
        "{log} is not the write-ahead log of {path}: it remained there when the file was replaced, and \
         would destroy it. `bursar restore` replaces a file and its log; to keep {path} as it is, move the \
         log away"
    )]
    ForeignLog {
        /// The file.
        path: PathBuf,
        /// The write-ahead log next to it.
        log: PathBuf,
    },
    /// The folder is not writable.
    #[error(
        "the folder {folder} is not writable ({source}); a database needs it for its lock and its \
         write-ahead log"
    )]
    ClosedFolder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file was closed during a read.
    #[error("the file is closed")]
    Closed,
    /// The file is a database of another program.
    #[error("the file is not a bursar database (application id {0:#x})")]
    Foreign(i64),
    /// The index next to the log could not be read or written.
    #[error("{what}")]
    Index {
        /// A description of the error.
        what: String,
        /// True if a later attempt may succeed.
        may_heal: bool,
    },
    /// The file is inconsistent.
    #[error("the log is damaged at record {record}: {what}")]
    Damaged {
        /// The record at which the damage was found.
        record: u64,
        /// A description of the damage.
        what: String,
    },
    /// The work was cancelled.
    #[error("cancelled, because the client no longer waits for the result")]
    Cancelled,
    /// The file has several hard links. Its write-ahead log belongs to one name only, so a process that opens
    /// the file by another name would miss the newest commits and destroy them.
    #[error("{path} has {names} names (hard links) and may have only one: remove the others")]
    Linked {
        /// The name that was to be opened.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
    /// The path holds no file any more, or another one than was opened, so later commits would be lost when
    /// the process ends.
    #[error("{path} is no longer the file that was opened: it was removed, moved or replaced")]
    Gone {
        /// The path of the opened file.
        path: PathBuf,
    },
    /// The clock of the machine is far from the clock of the file.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// Internal error: a statement received the wrong number of values.
    #[error("internal error: a statement takes {expected} values and received {given}")]
    Parameters {
        /// The number of values that it takes.
        expected: usize,
        /// The number of values that it received.
        given: usize,
    },
}

/// The reason that a path holds no Bursar database.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ForeignFile {
    /// A folder.
    #[error("it is a folder; name a database file in it, as in {}", .0.join("bursar.db").display())]
    Folder(PathBuf),
    /// The folder of the file is not there.
    #[error("the folder {} does not exist; create it, or name a file in another folder", .0.display())]
    NoFolder(PathBuf),
    /// A device, a socket or another special file.
    #[error("it is not a regular file; name a database file")]
    NotAFile,
    /// An empty file.
    #[error(
        "it is empty, so it is not a database; if you do not need it, remove it, and `bursar serve` creates \
         a new one"
    )]
    Empty,
    /// A file of another format.
    #[error("it is not a database; name a file that bursar has created")]
    NotADatabase,
    /// The database of another program.
    #[error(
        "it is a database of another program (application id {0:#x}); name a file that bursar has created"
    )]
    OtherProgram(u32),
}

impl StorageError {
    pub(crate) fn damaged(record: u64, what: impl std::fmt::Display) -> Self {
        Self::Damaged {
            record,
            what: what.to_string(),
        }
    }

    /// Returns true if a later attempt may succeed, as after a full disk or a lock that another tool held.
    /// Damage does not go away.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            Self::Database(libsql::Error::SqliteFailure(code, _)) => {
                !matches!(code & PRIMARY_CODE, SQLITE_CORRUPT | SQLITE_NOTADB)
            }
            Self::Database(libsql::Error::ConnectionFailed(_))
            | Self::File { .. }
            | Self::Busy { .. } => true,
            Self::Index { may_heal, .. } => *may_heal,
            Self::Database(_)
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::NotOurs { .. }
            | Self::ForeignLog { .. }
            | Self::ClosedFolder { .. }
            | Self::Closed
            | Self::Foreign(_)
            | Self::Damaged { .. }
            | Self::Linked { .. }
            | Self::Cancelled
            | Self::Gone { .. }
            | Self::Clock(_)
            | Self::Parameters { .. } => false,
        }
    }
}

impl From<IndexError> for StorageError {
    fn from(error: IndexError) -> Self {
        Self::Index {
            may_heal: matches!(error, IndexError::Io { .. }),
            what: error.to_string(),
        }
    }
}

impl From<IndexOpenError<Self>> for StorageError {
    fn from(error: IndexOpenError<Self>) -> Self {
        match error {
            IndexOpenError::Log(error) => error,
            IndexOpenError::Index(error) => error.into(),
        }
    }
}

/// A mask for the primary result code of SQLite (<https://www.sqlite.org/rescode.html>).
pub(crate) const PRIMARY_CODE: i32 = 0xff;

/// The disk is full.
pub(crate) const SQLITE_FULL: i32 = 13;

/// The file is malformed.
const SQLITE_CORRUPT: i32 = 11;

/// The file is not a database.
const SQLITE_NOTADB: i32 = 26;

/// The reason that a submission has no answer. Sending the request again with the same idempotency key is
/// always safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The commit failed, or its result is unknown.
    #[error("it is not known whether the request was committed")]
    Unknown,
    /// The writer is stopping, or rebuilding its state from disk.
    #[error("the service does not accept requests at the moment")]
    Unavailable,
    /// The decision failed by an internal error. The rest of the batch was committed. A retry will fail in the
    /// same way.
    #[error("internal error: the request was not executed")]
    Bug,
}

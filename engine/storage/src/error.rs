//! What can go wrong with a file, and what can go wrong with a request to it.

use std::path::PathBuf;

use crate::file::owner::Owner;
use crate::time::clock::ClockError;

/// The file could not be read or written as it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// libSQL reported an error.
    #[error("the database: {0}")]
    Database(#[from] libsql::Error),
    /// The lock file or the database file could not be opened.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process owns the file.
    #[error("{path} is owned by process {pid}")]
    Busy {
        /// Which file.
        path: PathBuf,
        /// The process that owns it.
        pid: u32,
        /// How to reach it, if it has said so.
        owner: Option<Box<Owner>>,
    },
    /// The file was written by a later version.
    #[error("the file has schema {found}, and this version knows {known}: use a newer bursar")]
    TooNew {
        /// The file's schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// At the path is no file of ours, and none can be made there.
    #[error("{path}: {reason}")]
    NotOurs {
        /// Which path.
        path: PathBuf,
        /// What is there instead.
        reason: ForeignFile,
    },
    /// The write-ahead log beside the file is another file's, or the same file's of another time.
    #[error(
        "{log} is not the write-ahead log of {path}: it stayed there when the file was replaced, and \
         would destroy it. `bursar restore` replaces a file with its log; if {path} is the one to keep \
         as it is, move the log away"
    )]
    ForeignLog {
        /// The file.
        path: PathBuf,
        /// The log beside it.
        log: PathBuf,
    },
    /// The folder cannot be written to.
    #[error(
        "the folder {folder} cannot be written to ({source}), and a database needs it for its lock and \
         its write-ahead log"
    )]
    ClosedFolder {
        /// Which folder.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file was closed while something still read it.
    #[error("the file is closed")]
    Closed,
    /// The file is some other program's database.
    #[error("the file is not a bursar database (application id {0:#x})")]
    Foreign(i64),
    /// What the file says cannot be so.
    #[error("the journal is damaged at record {record}: {what}")]
    Damaged {
        /// The record at which it shows.
        record: u64,
        /// What is wrong.
        what: String,
    },
    /// The work was cancelled.
    #[error("it was cancelled, since nobody waits for it any more")]
    Cancelled,
    /// The file has more than one name. Its write-ahead log belongs to one of them only, so that
    /// whoever comes by another name would not see the newest commits, and would destroy them.
    #[error("{path} has {names} names (hard links), and may have one: remove the others")]
    Linked {
        /// The name by which it was to be opened.
        path: PathBuf,
        /// How many it has.
        names: u64,
    },
    /// At the path is no file any more, or another one than was opened: what is committed would be
    /// lost with the process.
    #[error("{path} is not the file that was opened: it was removed, moved or replaced")]
    Gone {
        /// The path at which it was.
        path: PathBuf,
    },
    /// The clock of the machine is far from the time of the file.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A statement was given the wrong number of values: a bug here.
    #[error("a statement takes {expected} values and was given {given}")]
    Parameters {
        /// How many it takes.
        expected: usize,
        /// How many it was given.
        given: usize,
    },
}

/// The reason that no file of ours can be at a path.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ForeignFile {
    /// A folder.
    #[error("it is a folder; name a database file in it, as in {}", .0.join("bursar.db").display())]
    Folder(PathBuf),
    /// The folder of the file is not there.
    #[error("the folder {} is not there; make it, or name a file in another one", .0.display())]
    NoFolder(PathBuf),
    /// A device, a socket or the like.
    #[error("it is not a regular file; name a database file")]
    NotAFile,
    /// A file of no bytes.
    #[error(
        "it is empty, so it is not a database; if nothing of yours belongs in it, remove it, and \
         `bursar serve` makes a new one"
    )]
    Empty,
    /// Some other kind of file.
    #[error("it is not a database; name a file that bursar has made")]
    NotADatabase,
    /// The database of another program.
    #[error(
        "it is a database of another program (application id {0:#x}); name a file that bursar has made"
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

    /// Whether it may pass by itself: a full disk, a file that another tool has locked for a moment.
    /// What the file says, it says for ever.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            Self::Database(libsql::Error::SqliteFailure(code, _)) => {
                !matches!(code & PRIMARY_CODE, SQLITE_CORRUPT | SQLITE_NOTADB)
            }
            Self::Database(libsql::Error::ConnectionFailed(_))
            | Self::File { .. }
            | Self::Busy { .. } => true,
            Self::Database(_)
            | Self::TooNew { .. }
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

/// The part of SQLite's result codes that says what kind of failure it is.
pub(crate) const PRIMARY_CODE: i32 = 0xff;

/// A row would be there twice.
pub(crate) const SQLITE_CONSTRAINT: i32 = 19;

/// The disk has no room.
pub(crate) const SQLITE_FULL: i32 = 13;

/// A page of the file is not what it must be.
const SQLITE_CORRUPT: i32 = 11;

/// The file is not a database.
const SQLITE_NOTADB: i32 = 26;

/// Why a request got no answer. Nothing of it is known to have happened, and asking again with the
/// same key is always safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The commit failed, or its result is not known.
    #[error("it is not known whether the request was committed")]
    Unknown,
    /// The writer takes no work: it is stopping, or rebuilding its state from disk.
    #[error("the service is not taking requests at the moment")]
    Unavailable,
    /// Deciding it met a bug. Its neighbours were served; asking again will meet the same bug.
    #[error("a bug was met; nothing of it happened")]
    Bug,
}

//! The reasons for which an audit interrupts its reads: its caller has cancelled it, or the write-ahead log
//! has to restart.

use std::sync::mpsc;
use std::thread;

use crate::background::BackgroundPace;
use crate::cancel::Cancel;
use crate::commit::log_gate::{LogGate, Slice};
use crate::database::Database;
use crate::error::StorageError;
use crate::wal::{Ended, Wal};

/// The bytes to which the write-ahead log may grow while the pages of a file are checked. This check is one
/// statement, so it cannot be done in slices.
pub const AUDIT_WAL_BYTES_MAX: u64 = 256 << 20;

/// The conditions under which an audit ends or pauses.
pub(crate) struct Watch<'a> {
    pub(crate) cancel: &'a Cancel,
    /// The gate of the file's writer; none if no process writes to the file.
    pub(crate) gate: Option<&'a LogGate>,
    /// The bytes to which the log may grow: [`AUDIT_WAL_BYTES_MAX`].
    pub(crate) wal_bytes_max: u64,
    /// The pauses of the audit.
    pub(crate) pace: BackgroundPace<'a>,
}

impl<'a> Watch<'a> {
    /// Creates the watch of an audit whose file no process writes to.
    pub(crate) fn alone(cancel: &'a Cancel) -> Self {
        Self {
            cancel,
            gate: None,
            wal_bytes_max: AUDIT_WAL_BYTES_MAX,
            pace: BackgroundPace::unhindered(),
        }
    }

    /// Begins a slice of a read.
    pub(crate) fn enter(&self) -> Result<Option<Slice<'a>>, StorageError> {
        let slice = self.gate.map(LogGate::enter);
        self.cancel.check().map(|()| slice)
    }

    /// Returns true if the current slice has to end now.
    pub(crate) fn must_pause(&self) -> bool {
        self.cancel.is_cancelled() || self.gate.is_some_and(LogGate::is_wanted)
    }

    /// Runs one long statement. Fails if the audit is cancelled meanwhile. Interrupts the statement and
    /// returns none if the log grows too large.
    pub(crate) fn long_statement<T>(
        &self,
        database: &Database,
        log: &Wal,
        run: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        self.cancel.check()?;
        let (done, is_done) = mpsc::channel::<()>();
        let (result, ended) = thread::scope(|scope| {
            let cancel = self.cancel;
            let watching = scope.spawn(move || log.watch(&is_done, database, cancel));
            let result = run();
            drop(done);
            (result, watching.join().unwrap_or_default())
        });
        match ended {
            Some(Ended::Cancelled) => Err(StorageError::Cancelled),
            Some(Ended::Grown) => Ok(None),
            None => result.map(Some),
        }
    }
}

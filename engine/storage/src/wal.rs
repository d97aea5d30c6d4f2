//! The size of the write-ahead log during a long read, which must not let it grow too large.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::database::Database;
use crate::file::log_origin;

/// The time between two checks of the write-ahead log.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The write-ahead log of a file.
pub(crate) struct Wal {
    path: PathBuf,
    /// The bytes to which it may grow. A log that was larger before may keep its size.
    bytes_max: u64,
}

/// The reason why a statement was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The log grew too large.
    Grown,
    /// The work was cancelled.
    Cancelled,
}

impl Wal {
    pub(crate) fn of(database: &Path, bytes_max: u64) -> Self {
        let mut log = Self {
            path: log_origin::path_of(database),
            bytes_max,
        };
        log.bytes_max = bytes_max.max(log.bytes());
        log
    }

    fn bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |found| found.len())
    }

    /// Returns the size of the log if it is too large.
    pub(crate) fn excess(&self) -> Option<u64> {
        Some(self.bytes()).filter(|bytes| *bytes > self.bytes_max)
    }

    /// Interrupts a statement if the log grows too large before it is done, or if the work is cancelled.
    /// Returns the reason.
    pub(crate) fn watch(
        &self,
        is_done: &mpsc::Receiver<()>,
        reading: &Database,
        cancel: &Cancel,
    ) -> Option<Ended> {
        let mut ended = None;
        while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if cancel.is_cancelled() {
                ended = Some(Ended::Cancelled);
            } else if self.excess().is_some() {
                ended = Some(Ended::Grown);
            }
            if ended.is_some() {
                // A statement that has not started cannot be interrupted; the next check does it.
                reading.interrupt();
            }
        }
        ended
    }
}

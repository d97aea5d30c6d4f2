//! The write-ahead log while one statement reads for long: it must not grow too large meanwhile.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::database::Database;
use crate::file::log_origin;

/// The time between two looks at the write-ahead log.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The write-ahead log of a file.
pub(crate) struct Log {
    path: PathBuf,
    /// Bytes to which it may grow. A log that was large before takes no further room.
    bytes_max: u64,
}

/// The reason that a statement was broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The log grew to so many bytes.
    Grown(u64),
    /// The work was cancelled.
    Cancelled,
}

impl Log {
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

    /// Breaks a statement off if the log grows too large before it is done, or if it is cancelled.
    /// Says why.
    pub(crate) fn watch(
        &self,
        is_done: &mpsc::Receiver<()>,
        reading: &Database,
        cancel: &Cancel,
    ) -> Option<Ended> {
        let mut ended = None;
        while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let bytes = self.bytes();
            if cancel.is_cancelled() {
                ended = Some(Ended::Cancelled);
            } else if bytes > self.bytes_max {
                ended = Some(Ended::Grown(bytes));
            }
            if ended.is_some() {
                // What has not begun yet cannot be broken off; the next look does it.
                reading.interrupt();
            }
        }
        ended
    }
}

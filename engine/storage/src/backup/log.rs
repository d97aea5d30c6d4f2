//! The write-ahead log while a copy is made: who watches that it does not grow too large.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::database::Database;

/// How long between two looks at the write-ahead log.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The write-ahead log of a file that is copied.
pub(super) struct Log {
    path: PathBuf,
    /// What it may grow to. A log that was large before takes no further room.
    bytes_max: u64,
}

impl Log {
    pub(super) fn of(database: &Path, bytes_max: u64) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        let mut log = Self {
            path: name.into(),
            bytes_max,
        };
        log.bytes_max = bytes_max.max(log.bytes());
        log
    }

    fn bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |found| found.len())
    }

    /// Breaks the copy off if the log grows too large before it is done, and says how large.
    pub(super) fn watch(&self, is_done: &mpsc::Receiver<()>, copying: &Database) -> Option<u64> {
        let mut grown = None;
        while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let bytes = self.bytes();
            if bytes > self.bytes_max {
                grown = Some(bytes);
                // What has not begun yet cannot be broken off; the next look does it.
                copying.interrupt();
            }
        }
        grown
    }
}

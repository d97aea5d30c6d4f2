//! A machine whose clocks a test controls.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::NOW_MS;
use crate::tests::render;
use crate::{FileLock, Reading, Storage, StorageError, TimeSource};

/// The clocks of a machine that a test controls.
pub(super) struct Machine {
    reading: Arc<Mutex<Reading>>,
    pub(super) source: TimeSource,
}

impl Machine {
    pub(super) fn new() -> Self {
        let reading = Reading {
            wall: Duration::from_millis(NOW_MS),
            elapsed: Duration::from_hours(1),
        };
        let reading = Arc::new(Mutex::new(reading));
        let read = Arc::clone(&reading);
        let source = TimeSource::new("boot", move || *read.lock().expect("it is whole"));
        Self { reading, source }
    }

    pub(super) fn pass(&self, ms: u64) {
        let mut reading = self.reading.lock().expect("it is whole");
        reading.wall += Duration::from_millis(ms);
        reading.elapsed += Duration::from_millis(ms);
    }

    pub(super) fn set_wall(&self, ms: u64) {
        self.reading.lock().expect("it is whole").wall = Duration::from_millis(ms);
    }

    pub(super) fn open(&self, path: &Path) -> Result<Storage, StorageError> {
        let lock = FileLock::acquire(path).expect("the lock");
        Storage::open(path, lock, &self.source, render)
    }

    pub(super) fn opened(&self, path: &Path) -> Storage {
        self.open(path).expect("the file opens")
    }
}

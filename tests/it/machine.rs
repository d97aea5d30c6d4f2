//! A simulated machine whose clocks a test controls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar_storage::{Reading, TimeSource};

/// The clocks of a machine. Clones share them.
#[derive(Clone)]
pub(crate) struct Machine {
    boot: u64,
    reading: Arc<Mutex<Reading>>,
}

impl Machine {
    /// Creates a machine whose wall clock shows this time, in milliseconds since 1970.
    pub(crate) fn at(wall_ms: u64) -> Self {
        let reading = Reading {
            wall: Duration::from_millis(wall_ms),
            elapsed: Duration::from_hours(1),
        };
        Self {
            boot: 1,
            reading: Arc::new(Mutex::new(reading)),
        }
    }

    /// Returns the time source of a server on this machine.
    pub(crate) fn source(&self) -> TimeSource {
        let reading = Arc::clone(&self.reading);
        TimeSource::new(&format!("boot {}", self.boot), move || {
            *reading.lock().unwrap()
        })
    }

    /// Returns the time of the wall clock, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        let wall = self.reading.lock().unwrap().wall;
        u64::try_from(wall.as_millis()).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut self.reading.lock().unwrap());
    }

    /// Advances all clocks.
    pub(crate) fn pass(&self, ms: u64) {
        let span = Duration::from_millis(ms);
        self.change(|reading| {
            reading.wall += span;
            reading.elapsed += span;
        });
    }

    /// Moves only the wall clock, forwards or backwards.
    pub(crate) fn set(&self, by_ms: i64) {
        let span = Duration::from_millis(by_ms.unsigned_abs());
        self.change(|reading| {
            let wall = &mut reading.wall;
            *wall = if by_ms < 0 {
                wall.saturating_sub(span)
            } else {
                *wall + span
            };
        });
    }

    /// Reboots the machine, which takes `ms`.
    pub(crate) fn boot(&mut self, ms: u64) {
        self.pass(ms);
        self.boot += 1;
        // Time sources handed out before keep the clocks of the previous boot.
        let reading = Reading {
            elapsed: Duration::from_secs(1),
            ..*self.reading.lock().unwrap()
        };
        self.reading = Arc::new(Mutex::new(reading));
    }
}

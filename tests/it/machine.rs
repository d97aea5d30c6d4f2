//! A machine whose clocks are in the hands of a test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar_storage::{Reading, TimeSource};

/// The clocks of a machine. Clones are the same machine.
#[derive(Clone)]
pub(crate) struct Machine {
    boot: u64,
    reading: Arc<Mutex<Reading>>,
}

impl Machine {
    /// A machine that shows this time, in milliseconds since 1970.
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

    /// Where a server takes its time from.
    pub(crate) fn source(&self) -> TimeSource {
        let reading = Arc::clone(&self.reading);
        TimeSource::new(&format!("boot {}", self.boot), move || {
            *reading.lock().unwrap()
        })
    }

    /// The time that its wall clock shows, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        let wall = self.reading.lock().unwrap().wall;
        u64::try_from(wall.as_millis()).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut self.reading.lock().unwrap());
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        let span = Duration::from_millis(ms);
        self.change(|reading| {
            reading.wall += span;
            reading.elapsed += span;
        });
    }

    /// Sets the wall clock ahead, or back.
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

    /// Boots the machine, which takes a while.
    pub(crate) fn boot(&mut self, ms: u64) {
        self.pass(ms);
        self.boot += 1;
        // Clocks that were handed out before are those of the boot before.
        let reading = Reading {
            elapsed: Duration::from_secs(1),
            ..*self.reading.lock().unwrap()
        };
        self.reading = Arc::new(Mutex::new(reading));
    }
}

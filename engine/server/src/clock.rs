//! The clocks of the machine. No other file reads them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bursar_ledger::Timestamp;
use bursar_storage::{Reading, TimeSource};
use rustix::time::{ClockId, clock_gettime};

/// The clock of elapsed time. On Linux it includes the time in which the machine is suspended (`clock_gettime(2)`).
#[cfg(target_os = "linux")]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const ELAPSED: ClockId = ClockId::Monotonic;

/// The file with the id of the current boot on Linux (`random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Returns the clocks of this machine. A wall clock before 1970 reads as 1970.
#[allow(clippy::disallowed_methods, reason = "only this file reads clocks")]
pub fn system() -> TimeSource {
    // Without an id, no two boots count as the same.
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    TimeSource::new(boot.trim(), || Reading {
        wall: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
        elapsed: elapsed(),
    })
}

/// Returns the wall clock of the machine, for uses without a database file.
pub fn wall() -> Timestamp {
    let wall = system().read().wall;
    Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}

/// A monotonic clock: the time since some fixed moment. It does not change when the date is set.
pub type Ticks = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Returns a monotonic clock that starts at zero now.
pub fn running() -> Ticks {
    let start = elapsed();
    Arc::new(move || elapsed().saturating_sub(start))
}

fn elapsed() -> Duration {
    let elapsed = clock_gettime(ELAPSED);
    // The clock starts at the boot, so neither part is negative.
    let seconds = u64::try_from(elapsed.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(elapsed.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

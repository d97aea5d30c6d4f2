//! The only reader of the system's clocks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bursar_ledger::Timestamp;
use bursar_storage::{Reading, TimeSource};
use rustix::time::{ClockId, clock_gettime};

/// The clock of time that passes, whether the machine is suspended meanwhile or not.
#[cfg(target_os = "linux")]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const ELAPSED: ClockId = ClockId::Monotonic;

/// The file in which Linux names the present boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clocks of this machine. A wall clock before 1970 reads as 1970.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn system() -> TimeSource {
    // Where a boot has no name, none is the same as another.
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    TimeSource::new(boot.trim(), || Reading {
        wall: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
        elapsed: elapsed(),
    })
}

/// The time that the machine shows, where no file is at hand.
pub fn wall() -> Timestamp {
    let wall = system().read().wall;
    Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}

/// Time that passes evenly, whatever becomes of the system's idea of the date: how long it is since
/// some moment.
pub type Ticks = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Time since now.
pub fn running() -> Ticks {
    let start = elapsed();
    Arc::new(move || elapsed().saturating_sub(start))
}

fn elapsed() -> Duration {
    let elapsed = clock_gettime(ELAPSED);
    // Neither part is ever negative, of a clock that begins with the boot.
    let seconds = u64::try_from(elapsed.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(elapsed.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

//! The only reader of the system's clocks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bursar_ledger::Timestamp;
use bursar_storage::Clock;

/// The system's time. A clock before 1970 reads as 1970.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn system() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}

/// Time that passes evenly, whatever becomes of the system's idea of the date: how long it is since
/// some moment.
pub type Ticks = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Time since now.
pub fn running() -> Ticks {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

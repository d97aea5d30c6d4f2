//! The limits on concurrent calls.

use std::time::Duration;

use bursar_host::WORKERS_MAX;

/// The fewest threads for plugins, even on a machine with fewer cores. With a single thread, one long call would delay
/// all others.
const WORKERS_MIN: usize = 2;

/// The number of places for calls of all economies together.
const CALLS_MAX: usize = 4_096;

/// The most places for calls of one economy.
const CALLS_PER_ECONOMY_MAX: usize = 1_536;

/// The most places for calls of one plugin in one economy: two calls for each of 512 members.
const CALLS_PER_PLUGIN_MAX: usize = 1_024;

/// The longest wait of a call before it starts. Most clients have timed out by then.
const CALL_WAIT: Duration = Duration::from_secs(30);

/// The limits on concurrent calls and on their wait.
///
/// A call takes one place for each started KiB of its request, until it has ended. A call without free places is
/// rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallBounds {
    /// The number of threads for plugins.
    pub workers: usize,
    /// The number of places of all economies together.
    pub calls: usize,
    /// The most places of one economy. It also never has more places than it leaves free, so that another economy always
    /// finds some.
    pub calls_per_economy: usize,
    /// The most places of one plugin in one economy.
    pub calls_per_plugin: usize,
    /// The longest wait of a call before it starts. It is rejected then.
    pub wait: Duration,
}

impl CallBounds {
    /// Returns the limits of a server. Plugins have a thread for each core except one, which is left to the
    /// writer and the API; at least `WORKERS_MIN` and at most [`WORKERS_MAX`].
    pub fn standard() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores.saturating_sub(1).clamp(WORKERS_MIN, WORKERS_MAX),
            calls: CALLS_MAX,
            calls_per_economy: CALLS_PER_ECONOMY_MAX,
            calls_per_plugin: CALLS_PER_PLUGIN_MAX,
            wait: CALL_WAIT,
        }
    }
}

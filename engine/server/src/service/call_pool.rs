//! The workers and the locks that all calls share.

use std::time::Duration;

use bursar_ledger::EconomyId;
use bursar_storage::IdempotencyKey;
use tokio::time::Instant;

use super::call_bounds::CallBounds;
use super::call_limits::CallLimiter;
use super::gates::Gates;
use super::lanes::Lanes;
use super::workers::Workers;
use crate::keyed_locks::KeyedLocks;
use crate::service::error::ServiceError;

/// The wait for running calls when the service stops. It is longer than the deadline of a call without draws.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The state that all calls share.
pub(super) struct CallPool {
    pub(super) workers: Workers,
    pub(super) limiter: CallLimiter,
    wait: Duration,
    /// A lock for each key with a call in flight: a second request with the key waits for the answer to the first.
    pub(super) in_flight: KeyedLocks<(EconomyId, IdempotencyKey)>,
    /// The lanes of plugins: after a conflict, calls of a plugin run one at a time, in order of arrival.
    pub(super) lanes: Lanes,
    /// The gates of plugins, through which one call can run alone.
    pub(super) gates: Gates,
}

impl CallPool {
    /// Starts the workers.
    pub(super) fn new(bounds: CallBounds) -> Result<Self, ServiceError> {
        Ok(Self {
            workers: Workers::start(bounds.workers, bounds.calls)
                .map_err(|_| ServiceError::Bug("threads for plugins cannot be started"))?,
            limiter: CallLimiter::new(&bounds),
            wait: bounds.wait,
            in_flight: KeyedLocks::new(),
            lanes: Lanes::default(),
            gates: Gates::default(),
        })
    }

    /// Drops waiting jobs and waits a limited time for running ones. Returns false if one still runs then.
    pub(super) fn stop(&self) -> bool {
        self.workers.stop(STOP_PATIENCE)
    }

    /// Returns the time until which a call that arrives now may wait for its start.
    pub(super) fn start_deadline(&self) -> Instant {
        Instant::now() + self.wait
    }
}

//! A timer for work that is repeated until the service stops.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Ticks at a fixed interval until the service stops. A missed tick delays the next one.
pub(super) struct Interval {
    ticks: tokio::time::Interval,
    stopping: watch::Receiver<bool>,
}

impl Interval {
    pub(super) fn every(distance: Duration, stopping: watch::Receiver<bool>) -> Self {
        let mut ticks = tokio::time::interval(distance);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stopping }
    }

    /// Waits for the next tick. Returns false once the service stops.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.ticks.tick() => true,
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
        }
    }
}

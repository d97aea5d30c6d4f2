//! What is looked after now and then, until the service ends.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// Rounds at some distance, as long as the service runs. One that takes long delays the next.
pub(super) struct Rounds {
    ticks: Interval,
    stopping: watch::Receiver<bool>,
}

impl Rounds {
    pub(super) fn every(distance: Duration, stopping: watch::Receiver<bool>) -> Self {
        let mut ticks = tokio::time::interval(distance);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stopping }
    }

    /// Waits for the next round. False if there is none, since the service ends.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.ticks.tick() => true,
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
        }
    }
}

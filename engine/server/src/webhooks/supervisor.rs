//! The followers: one for each webhook that there is. Each waits for its own economy.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use bursar_storage::WebhookPlace;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Webhooks;
use super::follower::{Follower, stopped};

/// Webhooks that are followed, each with the record that made it.
type Running = HashMap<WebhookPlace, u64>;

/// Why the supervisor looks up.
enum Due {
    /// An operator has changed a webhook.
    Look,
    /// It is time to look at everything.
    Sweep,
    /// A follower has ended.
    Ended(WebhookPlace, u64),
    /// The server stops.
    End,
}

impl Webhooks {
    /// Follows every economy that has webhooks, until `stopping`; none if nothing is to be sent.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        if !self.parts.setup.sends {
            return;
        }
        let (mut tasks, stop) = (JoinSet::new(), stopping.clone());
        let mut running = Running::new();
        let mut sweep = tokio::time::interval(self.parts.setup.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                () = self.parts.look.notified() => Due::Look,
                _ = sweep.tick() => Due::Sweep,
                Some(Ok((place, born))) = tasks.join_next() => Due::Ended(place, born),
                _ = stopped(&mut stopping) => Due::End,
            };
            match due {
                Due::Look => self.start(&stop, &mut running, &mut tasks),
                Due::Sweep => {
                    self.start(&stop, &mut running, &mut tasks);
                    self.forget_the_gone();
                }
                Due::Ended(place, born) => {
                    if running.get(&place) == Some(&born) {
                        running.remove(&place);
                    }
                    self.forget_the_gone();
                }
                Due::End => break,
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Starts a follower for each webhook that has none.
    fn start(
        &self,
        stopping: &watch::Receiver<bool>,
        running: &mut Running,
        tasks: &mut JoinSet<(WebhookPlace, u64)>,
    ) {
        let state = self.parts.service.state();
        for (economy, books) in state.economies() {
            for (id, webhook) in books.webhooks() {
                let (place, born) = ((economy.clone(), id.clone()), webhook.born);
                if running.get(&place) == Some(&born) {
                    continue;
                }
                let progress = self.progress(economy, id, webhook);
                let follower = Follower::new(self, progress, stopping.clone());
                tasks.spawn(self.clone().follow(place.clone(), born, follower));
                running.insert(place, born);
            }
        }
    }

    /// One webhook, until it is gone or the server stops. A follower that meets a bug costs its own
    /// webhook, which is followed anew after a while.
    async fn follow(
        self,
        place: WebhookPlace,
        born: u64,
        follower: Follower,
    ) -> (WebhookPlace, u64) {
        let run = AssertUnwindSafe(follower.run());
        if run.catch_unwind().await.is_err() {
            let (economy, webhook) = &place;
            tracing::error!(%economy, %webhook, "a bug was met in a webhook");
            tokio::time::sleep(self.parts.setup.sweep).await;
        }
        let mut known = self.known();
        if known.get(&place).is_some_and(|known| known.born == born) {
            known.remove(&place);
        }
        drop(known);
        (place, born)
    }

    /// Drops what is noted of webhooks that are not there any more.
    fn forget_the_gone(&self) {
        let service = &self.parts.service;
        for place in service.storage().noted_webhooks() {
            let (economy, webhook) = &place;
            // Of the newest state: a webhook that is made now has no note before it is there.
            let state = service.state();
            let books = state.books(economy);
            if books.is_some_and(|books| books.webhook(webhook).is_some()) {
                continue;
            }
            self.known().remove(&place);
            service.storage().note_delivery(&place, None);
        }
    }
}

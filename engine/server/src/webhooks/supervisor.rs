//! The supervisor of followers: it runs one for each webhook.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use bursar_storage::WebhookPlace;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Webhooks;
use super::follower::{Follower, stopped};

/// The webhooks that have a follower, each with the number of the record that created it.
type RunningFollowers = HashMap<WebhookPlace, u64>;

/// The reason for which the supervisor acts.
enum Due {
    /// An operator has changed a webhook.
    Look,
    /// The interval of the sweep has passed.
    Sweep,
    /// A follower has ended.
    Ended(WebhookPlace, u64),
    /// The server stops.
    End,
}

impl Webhooks {
    /// Runs followers for all webhooks until `stopping`; returns at once if nothing is to be sent.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        if !self.parts.setup.sends {
            return;
        }
        let mut tasks = JoinSet::new();
        let stop = stopping.clone();
        let mut running = RunningFollowers::new();
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
                    self.delete_stale_notes();
                }
                Due::Ended(place, born) => {
                    if running.get(&place) == Some(&born) {
                        running.remove(&place);
                    }
                    self.delete_stale_notes();
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
        running: &mut RunningFollowers,
        tasks: &mut JoinSet<(WebhookPlace, u64)>,
    ) {
        let state = self.parts.service.state();
        for (economy, books) in state.economies() {
            for (id, webhook) in books.webhooks() {
                let place = (economy.clone(), id.clone());
                let born = webhook.born;
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

    /// Runs the follower of one webhook until the webhook is deleted or the server stops. A panic
    /// stops only this follower; a later sweep starts it again.
    async fn follow(
        self,
        place: WebhookPlace,
        born: u64,
        follower: Follower,
    ) -> (WebhookPlace, u64) {
        let run = AssertUnwindSafe(follower.run());
        if run.catch_unwind().await.is_err() {
            let (economy, webhook) = &place;
            tracing::error!(%economy, %webhook, "internal error: the follower of a webhook \
                                                 panicked and is restarted later");
            tokio::time::sleep(self.parts.setup.sweep).await;
        }
        let mut known = self.known();
        if known.get(&place).is_some_and(|known| known.born == born) {
            known.remove(&place);
        }
        drop(known);
        (place, born)
    }

    /// Deletes the notes of webhooks that no longer exist.
    fn delete_stale_notes(&self) {
        let service = &self.parts.service;
        for place in service.storage().noted_webhooks() {
            let (economy, webhook) = &place;
            // The newest state is used for each note: a webhook that was just created has no note
            // before it is part of the state.
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

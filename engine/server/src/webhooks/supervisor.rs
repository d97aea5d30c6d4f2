//! Who is followed: a follower for each webhook that there is, woken when its economy has news.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bursar_ledger::{Act, ForgottenDelivery};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Webhooks;
use super::follower::{Follower, stopped};
use super::progress::{Place, Progress};

/// A webhook that is followed, and the newest record that its follower was told of.
struct Running {
    progress: Arc<Progress>,
    seen: u64,
}

/// Why the supervisor looks up.
enum Due {
    /// Something was committed.
    News,
    /// An operator has changed a webhook.
    Look,
    /// It is time to look at everything.
    Sweep,
    /// A follower has ended.
    Ended(Place, u64),
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
        let mut running = HashMap::new();
        let mut commits = self.parts.bursar.storage().commits();
        let mut sweep = tokio::time::interval(self.parts.setup.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                // Without a writer there are no events any more.
                changed = commits.changed() => changed.map_or(Due::End, |()| Due::News),
                () = self.parts.look.notified() => Due::Look,
                _ = sweep.tick() => Due::Sweep,
                Some(Ok((place, born))) = tasks.join_next() => Due::Ended(place, born),
                _ = stopped(&mut stopping) => Due::End,
            };
            match due {
                Due::News => self.tell_news(&mut running),
                Due::Look => self.start(&stop, &mut running, &mut tasks),
                Due::Sweep => {
                    self.start(&stop, &mut running, &mut tasks);
                    self.forget_the_gone().await;
                }
                Due::Ended(place, born) => {
                    if running
                        .get(&place)
                        .is_some_and(|one| one.progress.born() == born)
                    {
                        running.remove(&place);
                    }
                    self.forget_the_gone().await;
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
        running: &mut HashMap<Place, Running>,
        tasks: &mut JoinSet<(Place, u64)>,
    ) {
        let state = self.parts.bursar.state();
        for (economy, books) in state.economies() {
            for (id, webhook) in books.webhooks() {
                let (place, born) = ((economy.clone(), id.clone()), webhook.born);
                if running
                    .get(&place)
                    .is_some_and(|one| one.progress.born() == born)
                {
                    continue;
                }
                let progress = self.progress(economy, id, born);
                let follower = Follower::new(self, Arc::clone(&progress), stopping.clone());
                tasks.spawn(self.clone().follow(place.clone(), born, follower));
                let seen = books.seq();
                running.insert(place, Running { progress, seen });
            }
        }
    }

    /// Wakes those whose economy has new records, and nobody else.
    fn tell_news(&self, running: &mut HashMap<Place, Running>) {
        let state = self.parts.bursar.state();
        for ((economy, _), one) in running {
            let newest = state.books(economy).map_or(0, |books| books.seq());
            if newest != one.seen {
                one.seen = newest;
                one.progress.news.notify_one();
            }
        }
    }

    /// One webhook, until it is gone or the server stops. A follower that meets a bug costs its own
    /// webhook, which is followed anew after a while.
    async fn follow(self, place: Place, born: u64, follower: Follower) -> (Place, u64) {
        let run = AssertUnwindSafe(follower.run());
        if run.catch_unwind().await.is_err() {
            let (economy, webhook) = &place;
            tracing::error!(%economy, %webhook, "a bug was met in a webhook");
            tokio::time::sleep(self.parts.setup.sweep).await;
        }
        let mut known = self.known();
        if known.get(&place).is_some_and(|known| known.born() == born) {
            known.remove(&place);
        }
        drop(known);
        (place, born)
    }

    /// Drops what is noted of webhooks that are not there any more.
    async fn forget_the_gone(&self) {
        let bursar = &self.parts.bursar;
        let state = bursar.state();
        let Some(system) = state.books(bursar.system()) else {
            return;
        };
        for ((economy, webhook), delivery) in system.deliveries() {
            let books = state.books(economy);
            let present = books.and_then(|books| books.webhook(webhook));
            if present.is_some_and(|present| present.born >= delivery.born) {
                continue;
            }
            let place = (economy.clone(), webhook.clone());
            self.known().remove(&place);
            let route = format!("/v1/economies/{economy}/webhooks/{webhook}");
            let body = serde_json::Value::Null;
            let asking = bursar.system_asking("bursar", "FORGET", &route, &body);
            let (economy, webhook) = place;
            let act = Act::ForgetDelivery(ForgottenDelivery {
                economy,
                webhook,
                born: delivery.born,
            });
            if let Err(problem) = bursar.act(asking, act).await {
                tracing::warn!(%problem, "what is known of a webhook that is gone stays for now");
            }
        }
    }
}

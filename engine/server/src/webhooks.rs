//! Webhooks: an economy's events, sent to whoever follows it, one after the other.
//!
//! Each webhook has a follower, a task of its own that reads the journal and never the writer's
//! queue. It sends one event at a time, in order, until the receiver has it or the schedule of
//! retries is through; then the event is kept as a dead letter and the next one goes on. How far it
//! has come is noted beside the journal, at most once in a while.

mod address;
mod attempt;
mod follower;
mod lookup;
mod progress;
mod setup;
pub(crate) mod signature;
mod supervisor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, Webhook, WebhookId, WebhookUrl};
use bursar_storage::{Delivery, WebhookPlace};
use tokio::sync::{Notify, Semaphore};

use crate::keyed_locks::KeyedLocks;
use crate::service::Service;
pub use address::{AddressError, Target};
use attempt::Sender;
use progress::Progress;
pub use setup::{Dice, WebhookSetup};

/// Attempts at the same time, of all economies together.
const ATTEMPTS_MAX: usize = 512;

/// Attempts of one economy at the same time.
const ATTEMPTS_PER_ECONOMY_MAX: usize = 4;

/// All webhooks of a server. Cloning shares them.
#[derive(Clone)]
pub struct Webhooks {
    parts: Arc<Parts>,
}

struct Parts {
    service: Service,
    setup: WebhookSetup,
    sender: Sender,
    all: Semaphore,
    per_economy: KeyedLocks<EconomyId>,
    /// How far each webhook has come, from when it is first asked about.
    known: Mutex<HashMap<WebhookPlace, Arc<Progress>>>,
    /// Told when there may be a new webhook.
    look: Notify,
}

impl Webhooks {
    /// Nothing is sent before [`Webhooks::run`].
    pub fn new(service: Service, setup: WebhookSetup) -> Self {
        let sender = Sender::new(&setup.trusted, setup.patience, setup.allow_private);
        let parts = Parts {
            service,
            setup,
            sender,
            all: Semaphore::new(ATTEMPTS_MAX),
            per_economy: KeyedLocks::new(ATTEMPTS_PER_ECONOMY_MAX),
            known: Mutex::default(),
            look: Notify::new(),
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Takes a URL apart, if something would be sent there.
    pub fn target(&self, url: &WebhookUrl) -> Result<Target, AddressError> {
        Target::parse(url, self.parts.setup.allow_private)
    }

    /// How far a webhook has come.
    pub fn delivery(&self, economy: &EconomyId, id: &WebhookId, webhook: &Webhook) -> Delivery {
        self.progress(economy, id, webhook).view()
    }

    /// A webhook was made, changed or removed: it is looked at now.
    pub fn changed(&self, economy: &EconomyId, id: &WebhookId) {
        let place = (economy.clone(), id.clone());
        if let Some(progress) = self.known().get(&place) {
            progress.poke.notify_one();
        }
        self.parts.look.notify_one();
    }

    /// The progress of a webhook: as it is known here, as it was noted, or none yet.
    fn progress(&self, economy: &EconomyId, id: &WebhookId, webhook: &Webhook) -> Arc<Progress> {
        let place = (economy.clone(), id.clone());
        let mut known = self.known();
        if let Some(progress) = known.get(&place).filter(|known| known.born >= webhook.born) {
            progress.catch_up(webhook);
            return Arc::clone(progress);
        }
        let delivery = self.noted(&place, webhook);
        let progress = Arc::new(Progress::new(place.clone(), webhook.born, delivery));
        known.insert(place, Arc::clone(&progress));
        progress
    }

    /// The progress of a webhook by its last note.
    fn noted(&self, place: &WebhookPlace, webhook: &Webhook) -> Delivery {
        let start = webhook.start();
        let noted = self.parts.service.storage().delivery(place);
        let noted = noted.filter(|noted| noted.since == start.seq);
        let mut delivery = noted.map_or_else(|| Delivery::new(start), |noted| (*noted).clone());
        let state = self.parts.service.state();
        let newest = state.books(&place.0).map_or(0, |books| books.seq());
        if delivery.done > newest {
            let (economy, webhook) = place;
            let done = delivery.done;
            tracing::warn!(
                %economy, %webhook, done, newest,
                "a webhook was noted to be ahead of its economy; it goes on with the next event"
            );
            delivery.done = newest;
        }
        delivery
    }

    fn known(&self) -> MutexGuard<'_, HashMap<WebhookPlace, Arc<Progress>>> {
        // Each entry is whole at any time.
        self.parts
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

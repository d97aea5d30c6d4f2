//! Webhooks: an economy's events, sent to whoever follows it, one after the other.
//!
//! Each webhook has a follower, a task of its own that reads the journal and never the writer's
//! queue. It sends one event at a time, in order, until the receiver has it or the schedule of
//! retries is through; then the event is kept as a dead letter and the next one goes on. How far it
//! has come is noted in the reserved economy, at most once in a while.

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

use bursar_ledger::{Delivery, EconomyId, Webhook, WebhookId, WebhookUrl};
use bursar_storage::Clock;
use tokio::sync::{Notify, Semaphore};

use crate::economy::Bursar;
use crate::keyed_locks::KeyedLocks;
use crate::no_answer::NoAnswer;
pub use address::{AddressError, Target};
use attempt::Sender;
use progress::{Asked, Place, Progress};
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
    bursar: Bursar,
    clock: Clock,
    setup: WebhookSetup,
    sender: Sender,
    all: Semaphore,
    per_economy: KeyedLocks<EconomyId>,
    /// How far each webhook has come, from when it is first asked about.
    known: Mutex<HashMap<Place, Arc<Progress>>>,
    /// Told when there may be a new webhook.
    look: Notify,
}

impl Webhooks {
    /// Nothing is sent before [`Webhooks::run`].
    pub fn new(bursar: Bursar, clock: Clock, setup: WebhookSetup) -> Self {
        let sender = Sender::new(&setup.trusted, setup.patience, setup.allow_private);
        let parts = Parts {
            bursar,
            clock,
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
        self.progress(economy, id, webhook.born).view()
    }

    /// A webhook was made, changed or removed: it is looked at now.
    pub fn changed(&self, economy: &EconomyId, id: &WebhookId) {
        let place = (economy.clone(), id.clone());
        if let Some(progress) = self.known().get(&place) {
            progress.poke.notify_one();
        }
        self.parts.look.notify_one();
    }

    /// Sends everything after an event again, and lets go of what was given up. It is done when this
    /// is noted.
    pub async fn replay(
        &self,
        actor: &str,
        (economy, id): (&EconomyId, &WebhookId),
        webhook: &Webhook,
        after: u64,
    ) -> Result<Delivery, NoAnswer> {
        let progress = self.progress(economy, id, webhook.born);
        let delivery = progress.replay(after);
        // Before the wait: whoever asked may leave, and the replay stands all the same.
        progress.poke.notify_one();
        let asked = Asked {
            actor,
            method: "POST",
            route: "/replay",
        };
        progress.note(&self.parts.bursar, &asked).await?;
        Ok(delivery)
    }

    /// How far a webhook has come: as it is known here, as the journal has it, or not at all yet.
    fn progress(&self, economy: &EconomyId, id: &WebhookId, born: u64) -> Arc<Progress> {
        let place = (economy.clone(), id.clone());
        let mut known = self.known();
        if let Some(progress) = known.get(&place).filter(|known| known.born() >= born) {
            return Arc::clone(progress);
        }
        let state = self.parts.bursar.state();
        let system = state.books(self.parts.bursar.system());
        let noted = system.and_then(|system| system.delivery(economy, id));
        let noted = noted.filter(|noted| noted.born == born);
        let delivery = noted.map_or_else(|| Delivery::new(born), |noted| (**noted).clone());
        let progress = Arc::new(Progress::new(place.clone(), delivery));
        known.insert(place, Arc::clone(&progress));
        progress
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, Arc<Progress>>> {
        // Each entry is whole at any time.
        self.parts
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

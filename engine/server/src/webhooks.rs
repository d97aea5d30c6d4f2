//! Delivery of an economy's events to webhooks.
//!
//! Each webhook has a follower, a task that reads the log and never uses the writer's queue. A
//! follower sends one event at a time, in order, until the receiver accepts it or all attempts have
//! failed; then it stores the event as a dead letter and continues with the next one. Progress is
//! written to the database file outside of the log, at most once per interval.

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
use bursar_storage::{Delivery, Event, WebhookPlace};
use serde_json::Value;
use tokio::sync::Notify;

use crate::admission::{Admission, AdmissionBounds};
use crate::service::Service;
pub use address::{AddressError, Target};
use attempt::Sender;
use progress::Progress;
pub use setup::{Dice, WebhookSetup};

/// The greatest number of simultaneous attempts of all economies together.
const ATTEMPTS_MAX: usize = 512;

/// The greatest number of simultaneous attempts of one economy.
const ATTEMPTS_PER_ECONOMY_MAX: usize = 4;

/// A function that builds the body of an event's delivery. The API provides it, so that this module
/// does not depend on the API.
pub type EventBody = fn(&Event, &EconomyId) -> Value;

/// The webhooks of a server. Clones share the same state.
#[derive(Clone)]
pub struct Webhooks {
    parts: Arc<Parts>,
}

struct Parts {
    service: Service,
    setup: WebhookSetup,
    body: EventBody,
    sender: Sender,
    attempts: Admission<EconomyId>,
    /// The progress of each webhook that was needed since the start.
    known: Mutex<HashMap<WebhookPlace, Arc<Progress>>>,
    /// Notified when a webhook may be new.
    look: Notify,
}

impl Webhooks {
    /// Creates the webhooks of a service. Nothing is sent before [`Webhooks::run`].
    pub fn new(service: Service, setup: WebhookSetup, body: EventBody) -> Self {
        let sender = Sender::new(&setup.trusted, setup.patience, setup.allow_private);
        let parts = Parts {
            service,
            setup,
            body,
            sender,
            attempts: Admission::new(AdmissionBounds::new(ATTEMPTS_MAX, ATTEMPTS_PER_ECONOMY_MAX)),
            known: Mutex::default(),
            look: Notify::new(),
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Parses a URL and checks that events may be sent to it.
    pub fn target(&self, url: &WebhookUrl) -> Result<Target, AddressError> {
        Target::parse(url, self.parts.setup.allow_private)
    }

    /// Returns the progress of a webhook.
    pub fn delivery(&self, economy: &EconomyId, id: &WebhookId, webhook: &Webhook) -> Delivery {
        self.progress(economy, id, webhook).view()
    }

    /// Notifies the followers that a webhook was created, changed or deleted.
    pub fn changed(&self, economy: &EconomyId, id: &WebhookId) {
        let place = (economy.clone(), id.clone());
        if let Some(progress) = self.known().get(&place) {
            progress.poke.notify_one();
        }
        self.parts.look.notify_one();
    }

    /// Returns the progress of a webhook: from memory, from the last note in the file, or a new
    /// one.
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

    /// Returns the progress of a webhook from the last note in the file.
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
                "the progress of a webhook was ahead of its economy's log; it continues with \
                 the next event"
            );
            delivery.done = newest;
        }
        delivery
    }

    fn known(&self) -> MutexGuard<'_, HashMap<WebhookPlace, Arc<Progress>>> {
        // Every entry is complete at any time, so a panic of another thread does not invalidate the
        // map.
        self.parts
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

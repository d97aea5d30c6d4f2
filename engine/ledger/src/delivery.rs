//! How far webhooks have come. It is kept in the reserved economy: as a record of the economy that is
//! followed it would be an event, which has to be sent in turn.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::books::Books;
use crate::id::{EconomyId, WebhookId};
use crate::limits::DEAD_LETTERS_MAX;
use crate::time::Timestamp;

/// An attempt that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryError {
    /// When.
    pub at: Timestamp,
    /// The event that was to be delivered.
    pub seq: u64,
    /// What went wrong.
    pub what: String,
}

/// An event that was given up after its last attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event.
    pub seq: u64,
    /// What kind of event it is.
    pub kind: String,
    /// When it was given up.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong the last time.
    pub error: String,
}

/// How far a webhook has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The record that made the webhook.
    pub born: u64,
    /// Up to here every event was delivered, given up, or is of a kind that is not sent.
    pub done: u64,
    /// How often the event after that was tried in vain.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failures: u32,
    /// When an event was last accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_success: Option<Timestamp>,
    /// The newest attempt that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<DeliveryError>,
    /// What was given up, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub dead: Vec<DeadLetter>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Delivery {
    /// Nothing was sent yet: the first event is the one after the record that made the webhook.
    pub fn new(born: u64) -> Self {
        Self {
            born,
            done: born,
            failures: 0,
            last_success: None,
            last_error: None,
            dead: Vec::new(),
        }
    }

    /// Whether no further event can be given up.
    pub fn is_full(&self) -> bool {
        self.dead.len() >= DEAD_LETTERS_MAX
    }
}

/// How far a webhook has come, for the books.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryNote {
    /// Whose webhook.
    pub economy: EconomyId,
    /// Which.
    pub webhook: WebhookId,
    /// How far it has come; of the events given up, those that no note had yet.
    pub delivery: Delivery,
    /// Whether the list of events given up begins anew.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub anew: bool,
}

impl DeliveryNote {
    /// How far the webhook has come with this note. The same note again changes nothing: letters
    /// that are there already are passed over.
    pub(crate) fn added_to(&self, present: Option<&Delivery>) -> Delivery {
        let note = &self.delivery;
        let kept = present.filter(|present| !self.anew && present.born == note.born);
        let mut dead = kept.map_or_else(Vec::new, |present| present.dead.clone());
        for letter in &note.dead {
            let follows = dead.last().is_none_or(|last| last.seq < letter.seq);
            if follows && dead.len() < DEAD_LETTERS_MAX {
                dead.push(letter.clone());
            }
        }
        Delivery {
            dead,
            ..note.clone()
        }
    }
}

/// A webhook that is no longer there, for the books.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ForgottenDelivery {
    /// Whose webhook it was.
    pub economy: EconomyId,
    /// Which.
    pub webhook: WebhookId,
    /// The record that had made it.
    pub born: u64,
}

impl Books {
    pub(crate) fn note_delivery(&mut self, note: &DeliveryNote) {
        let place = (note.economy.clone(), note.webhook.clone());
        let present = self.deliveries.get(&place).map(|present| &**present);
        let next = note.added_to(present);
        self.deliveries.insert(place, Arc::new(next));
    }

    pub(crate) fn forget_delivery(&mut self, gone: &ForgottenDelivery) {
        let place = (gone.economy.clone(), gone.webhook.clone());
        self.deliveries.remove(&place);
    }
}

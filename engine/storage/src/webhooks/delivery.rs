//! The progress of a webhook. It is a note beside the journal and no part of it: a record of it would be
//! an event, which has to be sent in turn.

use bursar_ledger::{EconomyId, Timestamp, WebhookId, WebhookReplay};
use serde::{Deserialize, Serialize};

/// Events of one webhook that were given up and not yet looked after. With the last one the webhook is
/// switched off, so that none is forgotten.
pub const DEAD_LETTERS_MAX: usize = 100;

/// A webhook of an economy.
pub type WebhookPlace = (EconomyId, WebhookId);

/// An attempt that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryError {
    /// The time of the attempt.
    pub at: Timestamp,
    /// The event that was to be delivered.
    pub seq: u64,
    /// A description of what went wrong.
    pub what: String,
}

/// An event that was given up after its last attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event.
    pub seq: u64,
    /// The kind of the event.
    pub kind: String,
    /// The time at which it was given up.
    pub at: Timestamp,
    /// The number of attempts to deliver it.
    pub attempts: u32,
    /// A description of what went wrong the last time.
    pub error: String,
}

/// The progress of a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The record from which this counts: the one that made the webhook, or that last told it where to
    /// go on. It tells the note from one of another webhook of the name.
    pub since: u64,
    /// Up to here every event was delivered, given up, or is of a kind that is not sent.
    pub done: u64,
    /// The number of failed attempts to deliver the event after that.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failures: u32,
    /// The time at which an event was last accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_success: Option<Timestamp>,
    /// The newest attempt that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<DeliveryError>,
    /// The events that were given up, oldest first; at most [`DEAD_LETTERS_MAX`].
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
    /// Nothing was sent yet.
    pub fn new(start: WebhookReplay) -> Self {
        Self {
            since: start.seq,
            done: start.after,
            failures: 0,
            last_success: None,
            last_error: None,
            dead: Vec::new(),
        }
    }

    /// Returns whether no further event can be given up.
    pub fn is_full(&self) -> bool {
        self.dead.len() >= DEAD_LETTERS_MAX
    }
}

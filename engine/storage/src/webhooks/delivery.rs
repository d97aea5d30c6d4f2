//! The progress of a webhook. It is stored next to the log and not in it, because each record is an event that
//! the webhook would have to deliver in turn.

use bursar_ledger::{EconomyId, Timestamp, WebhookId, WebhookReplay};
use serde::{Deserialize, Serialize};

/// The maximum number of dead letters of one webhook. At this number the webhook is switched off, so that no
/// event is lost.
pub const DEAD_LETTERS_MAX: usize = 100;

/// A webhook of an economy.
pub type WebhookPlace = (EconomyId, WebhookId);

/// A failed attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryError {
    /// The time of the attempt.
    pub at: Timestamp,
    /// The event that was to be delivered.
    pub seq: u64,
    /// A description of the error.
    pub what: String,
}

/// An event that was given up after a number of failed attempts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event.
    pub seq: u64,
    /// The kind of the event.
    pub kind: String,
    /// The time of the last attempt.
    pub at: Timestamp,
    /// The number of attempts.
    pub attempts: u32,
    /// A description of the last error.
    pub error: String,
}

/// The progress of a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The record that created the webhook or last set its position. It distinguishes this progress from that
    /// of an earlier webhook with the same name.
    pub since: u64,
    /// The newest event up to which every event was delivered, became a dead letter, or is of a kind that the
    /// webhook does not send.
    pub done: u64,
    /// The number of failed attempts to deliver the next event.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failures: u32,
    /// The time of the last successful delivery.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_success: Option<Timestamp>,
    /// The newest failed attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<DeliveryError>,
    /// The dead letters, oldest first, at most [`DEAD_LETTERS_MAX`].
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
    /// Creates the progress of a webhook that has sent nothing.
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

    /// Returns true if there is no room for another dead letter.
    pub fn is_full(&self) -> bool {
        self.dead.len() >= DEAD_LETTERS_MAX
    }
}

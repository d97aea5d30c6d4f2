//! Holds: amounts that are reserved on one account for another, until they are captured or the time
//! is over.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::PluginName;
use crate::limits::HOLD_SECONDS_MAX;
use crate::movement::{Posting, PostingsError};
use crate::time::Timestamp;

/// What is to become of a hold when its time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// What is left can be spent again.
    #[default]
    Release,
    /// What is left goes where it was meant to go: a player who loses cannot wait for a refund.
    Capture,
}

/// How a hold ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// All of it was captured.
    Captured,
    /// What was left was released.
    Released,
    /// Its time was over.
    Expired,
}

/// What a hold reserves, and for whom: a posting between two different accounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Posting", into = "Posting")]
pub struct Reservation(Posting);

impl Reservation {
    /// The posting that captures all of it.
    pub fn posting(&self) -> &Posting {
        &self.0
    }

    /// The posting that captures a part of it.
    pub(crate) fn part(&self, amount: Amount) -> Posting {
        Posting {
            amount,
            ..self.0.clone()
        }
    }
}

impl TryFrom<Posting> for Reservation {
    type Error = PostingsError;

    fn try_from(posting: Posting) -> Result<Self, PostingsError> {
        if posting.source == posting.destination {
            return Err(PostingsError::SameAccount { index: 0 });
        }
        Ok(Self(posting))
    }
}

impl From<Reservation> for Posting {
    fn from(reservation: Reservation) -> Self {
        reservation.0
    }
}

/// When a hold ends that is placed at a moment and lives so many seconds.
pub(crate) fn expiry(placed_at: Timestamp, expires_in_s: u64) -> Timestamp {
    let seconds = expires_in_s.min(HOLD_SECONDS_MAX);
    Timestamp(placed_at.0.saturating_add(seconds.saturating_mul(1000)))
}

/// A hold that is open. Its id is the key under which the books keep it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// What was reserved, and for whom.
    pub reservation: Reservation,
    /// What is left of it.
    pub remaining: Amount,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// From when on it cannot be captured any more.
    pub expires_at: Timestamp,
    /// When it is to be ended by its rule: at its expiry, or later if it could not be captured then.
    pub due_at: Timestamp,
    /// What becomes of it then.
    pub on_expiry: OnExpiry,
    /// The plugin that placed it, which alone may capture it or give it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// The server seed with which the game that it belongs to has drawn. That seed stays secret for as
    /// long as the hold is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The end of the last outage that it was given back. One that is found again, since the start that
    /// gave it back was cut off, counts from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_until: Option<Timestamp>,
}

impl Hold {
    /// A hold of which nothing was captured yet, that lives so many seconds.
    pub fn placed(
        reservation: &Reservation,
        placed_at: Timestamp,
        expires_in_s: u64,
        on_expiry: OnExpiry,
    ) -> Self {
        let expires_at = expiry(placed_at, expires_in_s);
        Self {
            reservation: reservation.clone(),
            remaining: reservation.0.amount,
            placed_at,
            expires_at,
            due_at: expires_at,
            on_expiry,
            plugin: None,
            seed: None,
            outage_until: None,
        }
    }
}

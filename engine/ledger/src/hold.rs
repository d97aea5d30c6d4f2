//! Holds: amounts that are reserved on one account for another, until they are captured, released or
//! expired.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::PluginName;
use crate::limits::HOLD_SECONDS_MAX;
use crate::movement::{Posting, PostingsError};
use crate::time::Timestamp;

/// The rule for the amount that is left when a hold expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The amount can be spent by its owner again.
    #[default]
    Release,
    /// The amount moves to the destination. Otherwise a player could avoid a loss by waiting.
    Capture,
}

/// The way in which a hold ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// All of it was captured.
    Captured,
    /// The rest was released.
    Released,
    /// The hold expired.
    Expired,
}

/// The reserved amount with its source and its destination: a posting between two different accounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Posting", into = "Posting")]
pub struct Reservation(Posting);

impl Reservation {
    /// Returns the posting that captures the whole amount.
    pub fn posting(&self) -> &Posting {
        &self.0
    }

    /// Returns the posting that captures a part.
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

/// Returns the moment at which a hold expires.
pub(crate) fn expiry(placed_at: Timestamp, expires_in_s: u64) -> Timestamp {
    let seconds = expires_in_s.min(HOLD_SECONDS_MAX);
    Timestamp(placed_at.0.saturating_add(seconds.saturating_mul(1000)))
}

/// An open hold. The books keep it under its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// The reserved amount with its source and its destination.
    pub reservation: Reservation,
    /// The amount that is left.
    pub remaining: Amount,
    /// The time at which it was placed.
    pub placed_at: Timestamp,
    /// The moment from which on it cannot be captured.
    pub expires_at: Timestamp,
    /// The moment at which the expiry rule applies: the expiry, or later if a capture could not be made
    /// then.
    pub due_at: Timestamp,
    /// The rule for the amount that is left at expiry.
    pub on_expiry: OnExpiry,
    /// The plugin that placed the hold. Only this plugin may capture or release it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// The server seed that the hold's game has drawn from. It stays secret while the hold is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The end of the last outage for which the hold was extended. If a start was interrupted, the next one finds
    /// the same outage again, and extends the hold only by the time after this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_until: Option<Timestamp>,
}

impl Hold {
    /// Creates a hold of which nothing is captured yet.
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

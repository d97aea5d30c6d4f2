//! The status of an economy, its flows and its days.

use serde::{Deserialize, Serialize};

use crate::id::TransferId;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// The status of an economy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EconomyStatus {
    /// The economy can be used.
    #[default]
    Open,
    /// Reads, settings, ends of holds and forced reversals are allowed; nothing else moves.
    Frozen,
    /// Only reads are allowed, for ever.
    Closed,
}

impl EconomyStatus {
    /// Checks that money may move in the economy.
    pub(crate) fn check_open(self) -> Result<(), Rejection> {
        match self {
            Self::Open => Ok(()),
            Self::Frozen => Err(Rejection::EconomyFrozen),
            Self::Closed => Err(Rejection::EconomyClosed),
        }
    }
}

/// The amounts of an asset that entered and left circulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Flow {
    /// The issued amount.
    pub issued: u64,
    /// The burned amount.
    pub burned: u64,
}

impl Flow {
    /// Adds another flow.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            issued: self.issued.saturating_add(other.issued),
            burned: self.burned.saturating_add(other.burned),
        }
    }
}

/// A day, counted from 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u64);

impl Day {
    const MILLISECONDS: u64 = 24 * 60 * 60 * 1000;

    /// Returns the day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.0 / Self::MILLISECONDS)
    }

    /// Returns the first moment of the day.
    pub fn starts_at(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(Self::MILLISECONDS))
    }

    /// Returns the day a number of days earlier.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// The link between a transfer and its reversal, from either side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// The transfer was reversed by this one.
    By(TransferId),
    /// The transfer is the reversal of this one.
    Of(TransferId),
}

//! What is known of an economy as a whole: whether it may be used, and what came and went in it.

use serde::{Deserialize, Serialize};

use crate::id::TransferId;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What may be done in an economy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EconomyStatus {
    /// Everything.
    #[default]
    Open,
    /// Reads, PUTs, the end of holds, and what an admin forces; nothing else moves.
    Frozen,
    /// Reads only, for ever.
    Closed,
}

impl EconomyStatus {
    /// Whether money moves in the economy.
    pub(crate) fn check_open(self) -> Result<(), Rejection> {
        match self {
            Self::Open => Ok(()),
            Self::Frozen => Err(Rejection::EconomyFrozen),
            Self::Closed => Err(Rejection::EconomyClosed),
        }
    }
}

/// How much of an asset came into circulation, and how much left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Flow {
    /// What the issuer gave.
    pub issued: u64,
    /// What it got back.
    pub burned: u64,
}

impl Flow {
    /// Both of them together.
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

    /// The day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.0 / Self::MILLISECONDS)
    }

    /// Its first moment.
    pub fn starts_at(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(Self::MILLISECONDS))
    }

    /// The day so many days before.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// What ties a transfer to its reversal, from either side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// It was taken back by this transfer.
    By(TransferId),
    /// It takes this transfer back.
    Of(TransferId),
}

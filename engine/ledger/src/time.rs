//! Moments, as values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC. The ledger never asks for the time; it is told.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment that is as far from `to` as this one is from `from`.
    #[must_use]
    pub fn moved(self, from: Self, to: Self) -> Self {
        let after = self.0.saturating_sub(from.0);
        let before = from.0.saturating_sub(self.0);
        Self(to.0.saturating_add(after).saturating_sub(before))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record with which an economy's stamps went back. Along the records between two of them they never
/// decrease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepBack {
    /// The number of the record.
    pub seq: u64,
    /// The latest that any record before it may be.
    pub from: Timestamp,
    /// Its own stamp.
    pub to: Timestamp,
}

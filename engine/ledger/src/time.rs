//! Timestamps as values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970-01-01 UTC. The ledger never reads a clock; moments are arguments.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the moment that is as far from `to` as this one is from `from`.
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

/// A record at which an economy's timestamps went back. Between two such records they never decrease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepBack {
    /// The number of the record.
    pub seq: u64,
    /// The latest timestamp that an earlier record may have.
    pub from: Timestamp,
    /// The timestamp of the record.
    pub to: Timestamp,
}

//! The server seeds, nonces and client seeds of an economy.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::draw::Seed;
use crate::time::Timestamp;

/// What a member has put into its draws, and since when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientSeed {
    /// The text.
    pub text: Arc<str>,
    /// The record with which it was set.
    pub set_at: u64,
    /// What it was before: calls that have begun draw from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Arc<str>, u64)>,
}

/// The seeds and nonces of an economy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrawBook {
    /// The number of the server seed that new draws are made from.
    pub(crate) active: u64,
    /// Since when.
    pub(crate) active_since: Timestamp,
    /// Draws that were made from it.
    pub(crate) active_draws: u64,
    /// The records with which the seeds were committed to that are not revealed yet: the active one,
    /// those before it, and the next.
    pub(crate) committed: OrdMap<u64, u64>,
    /// The next nonce that nobody has.
    pub(crate) next_nonce: u64,
    /// Nonces before that of calls that have not left a record yet.
    pub(crate) open_nonces: OrdSet<u64>,
}

impl Default for DrawBook {
    /// As it is with an economy's first record: two seeds are committed to.
    fn default() -> Self {
        Self {
            active: 1,
            active_since: Timestamp(0),
            active_draws: 0,
            committed: [(1_u64, 1_u64), (2, 1)].into_iter().collect(),
            next_nonce: 1,
            open_nonces: OrdSet::new(),
        }
    }
}

impl DrawBook {
    pub(crate) fn first_hidden(&self) -> u64 {
        self.committed
            .get_min()
            .map_or(self.active, |(seed, _)| *seed)
    }
}

/// The server seed that new draws are made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveSeed {
    /// Its number.
    pub number: u64,
    /// Since when.
    pub since: Timestamp,
    /// Draws that were made from it.
    pub draws: u64,
}

/// What is public of a server seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeedView {
    /// Its number.
    pub number: u64,
    /// The hash of the seed, which was public before the first draw.
    pub commitment: Digest,
    /// The seed, once no draw is made from it any more and no game is open that has.
    pub revealed: Option<Seed>,
}

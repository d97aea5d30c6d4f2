//! The state of an economy's draws: server seeds, nonces and client seeds.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::draw::Seed;
use crate::time::Timestamp;

/// The client seed of a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientSeed {
    /// The text.
    pub text: Arc<str>,
    /// The record that set it.
    pub set_at: u64,
    /// The previous text with its record. Calls that started before the change draw with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Arc<str>, u64)>,
}

/// The server seeds and nonces of an economy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrawBook {
    /// The number of the server seed for new draws.
    pub(crate) active: u64,
    /// The time at which that server seed became active.
    pub(crate) active_since: Timestamp,
    /// The number of draws from that server seed.
    pub(crate) active_draws: u64,
    /// The records that committed to the secret server seeds, by number: seeds before the active one, the
    /// active one, and the next one.
    pub(crate) committed: OrdMap<u64, u64>,
    /// The lowest nonce that no record has used or skipped.
    pub(crate) next_nonce: u64,
    /// The nonces below `next_nonce` that no record has used.
    pub(crate) open_nonces: OrdSet<u64>,
}

impl Default for DrawBook {
    /// Returns the state after an economy's first record, which commits to two seeds.
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
    /// Returns the lowest number of a server seed that is still secret.
    pub(crate) fn first_hidden(&self) -> u64 {
        self.committed
            .get_min()
            .map_or(self.active, |(seed, _)| *seed)
    }
}

/// The server seed for new draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveSeed {
    /// The number.
    pub number: u64,
    /// The time at which it became active.
    pub since: Timestamp,
    /// The number of draws from it.
    pub draws: u64,
}

/// The public properties of a server seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerSeed {
    /// The number.
    pub number: u64,
    /// The commitment, which was public before the first draw.
    pub commitment: Digest,
    /// The seed, if it is revealed: it is no longer active, and no open game has drawn from it.
    pub revealed: Option<Seed>,
}

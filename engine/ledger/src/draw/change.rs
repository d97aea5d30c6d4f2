//! Changes of an economy's server seeds, nonces and client seeds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::draw::DrawOrigin;
use crate::id::{AccountId, HoldId, PluginName};

/// The draws of a call, as a record keeps them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrawUse {
    /// The origin of the draws.
    #[serde(flatten)]
    pub origin: DrawOrigin,
    /// The number of draws in the record.
    pub draws: u32,
    /// True if the call did not commit, so that the next attempt under its key draws from the same origin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
}

/// A change of seeds and nonces, or the draws of a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum DrawChange {
    /// A hold is marked with the server seed that its game has drawn from.
    HoldDrew {
        /// The hold.
        hold: HoldId,
        /// The number of the server seed.
        seed: u64,
    },
    /// A call has drawn, and its nonce is used.
    Drew {
        /// The key of the request's draws: the member, the idempotency key and the request.
        key: Arc<str>,
        /// The draws.
        #[serde(flatten)]
        drew: DrawUse,
    },
    /// Nonces are marked as used because their calls will leave no record.
    NoncesBurned {
        /// The nonces.
        nonces: Vec<u64>,
    },
    /// The next server seed is active, and the commitment to the one after it is public.
    SeedRotated {
        /// The number of the active seed.
        active: u64,
    },
    /// Server seeds are revealed.
    SeedsRevealed {
        /// The number below which all server seeds are revealed.
        below: u64,
    },
    /// The client seed of a member is set.
    ClientSeedSet {
        /// The member's account.
        account: AccountId,
        /// The client seed.
        client_seed: Arc<str>,
    },
    /// A call has drawn and failed.
    DrawBroken {
        /// The plugin.
        plugin: PluginName,
        /// True if the plugin is switched off because of too many failures.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
    },
}

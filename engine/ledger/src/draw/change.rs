//! Changes of an economy's seeds and nonces, and the draws of calls as records keep them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::draw::DrawOrigin;
use crate::id::{AccountId, HoldId, PluginName};

/// That a call has drawn, in a record's changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrawUse {
    /// From where.
    #[serde(flatten)]
    pub origin: DrawOrigin,
    /// How often, as far as the record says.
    pub draws: u32,
    /// Whether another try with the key draws from there again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
}

/// A change of seeds and nonces, or what a call has drawn.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum DrawChange {
    /// The game has drawn to which a hold belongs.
    HoldDrew {
        /// The hold.
        hold: HoldId,
        /// The number of the server seed.
        seed: u64,
    },
    /// A call has drawn: its nonce is used up.
    Drew {
        /// The member and the idempotency key under which it was asked for.
        key: Arc<str>,
        /// From where, and how often.
        #[serde(flatten)]
        drew: DrawUse,
    },
    /// Nonces were handed out, and nobody is left who could use them.
    NoncesBurned {
        /// The nonces.
        nonces: Vec<u64>,
    },
    /// New draws are made from another server seed, and the one after it is committed to.
    SeedRotated {
        /// Its number.
        active: u64,
    },
    /// Server seeds are public.
    SeedsRevealed {
        /// All below this number.
        below: u64,
    },
    /// A member puts something else into its draws.
    ClientSeedSet {
        /// Whose draws.
        account: AccountId,
        /// What it puts in.
        client_seed: Arc<str>,
    },
    /// A call has drawn and then broken off.
    DrawBroken {
        /// Whose call.
        plugin: PluginName,
        /// Whether that was once too often, and the plugin is off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
    },
}

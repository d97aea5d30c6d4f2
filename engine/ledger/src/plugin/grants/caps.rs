//! Caps on the amounts that a plugin moves.

use std::collections::BTreeMap;

use crate::amount::Limit;
use crate::id::AssetId;

/// The most that may move, by asset. An asset without an entry may not move.
pub type Caps = BTreeMap<AssetId, Limit>;

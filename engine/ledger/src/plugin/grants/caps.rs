//! Caps on what a plugin may move.

use std::collections::BTreeMap;

use crate::amount::Limit;
use crate::id::AssetId;

/// The most that may move, per asset; of one that is not named, nothing.
pub type Caps = BTreeMap<AssetId, Limit>;

//! Cursors: where a list goes on, with its filters sealed in, as a text that is nobody's business
//! but ours.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A cursor as text.
pub(super) fn seal(cursor: &impl Serialize) -> String {
    hex::encode(serde_json::to_vec(cursor).unwrap_or_default())
}

/// A cursor from a text, if it is one of this kind.
pub(super) fn open<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&hex::decode(text).ok()?).ok()
}

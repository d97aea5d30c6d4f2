//! Cursors of lists: the place at which the next page begins, and the filters of the list. Their
//! text is opaque to clients, so that its content can change.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a cursor as text.
pub(super) fn seal(cursor: &impl Serialize) -> String {
    hex::encode(serde_json::to_vec(cursor).unwrap_or_default())
}

/// Decodes a cursor; returns none if the text is not a cursor of this type.
pub(super) fn open<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&hex::decode(text).ok()?).ok()
}

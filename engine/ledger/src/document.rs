//! Documents: JSON of bots and operators in records, and its limits.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::limits::DOCUMENT_DEPTH_MAX;

/// A document, stored as compact JSON. As parsed values, a document of 16 KiB could take more than a
/// megabyte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document(Arc<str>);

impl Document {
    /// Creates a document from a value.
    pub fn new(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// Returns the value of the document.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).expect("a document is written from a value")
    }

    /// Returns the document as compact JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self::new(&value)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&Value::deserialize(deserializer)?))
    }
}

/// The error of a document that exceeds a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DocumentError {
    /// The document has too many bytes.
    #[error("this has at most {0} bytes as JSON")]
    TooLarge(usize),
    /// The document has too many nested objects and arrays.
    #[error("this has at most {DOCUMENT_DEPTH_MAX} levels of objects and arrays")]
    TooDeep,
}

/// Checks that a document has at most `bytes_max` bytes, and a depth that can be read again.
pub fn check_document(document: &Value, bytes_max: usize) -> Result<(), DocumentError> {
    if depth(document) > DOCUMENT_DEPTH_MAX {
        return Err(DocumentError::TooDeep);
    }
    if written_bytes(document) > bytes_max {
        return Err(DocumentError::TooLarge(bytes_max));
    }
    Ok(())
}

/// A writer that only counts bytes.
#[derive(Default)]
struct WrittenLength(usize);

impl std::io::Write for WrittenLength {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the bytes of a document as compact JSON.
fn written_bytes(document: &Value) -> usize {
    let mut count = WrittenLength::default();
    serde_json::to_writer(&mut count, document).expect("a value can be written as JSON");
    count.0
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    below.unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_end_at_their_limits() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(check_document(&nested(DOCUMENT_DEPTH_MAX), 100), Ok(()));
        assert_eq!(
            check_document(&nested(DOCUMENT_DEPTH_MAX + 1), 100),
            Err(DocumentError::TooDeep)
        );
        assert_eq!(check_document(&json!("12345678"), 10), Ok(()));
        assert_eq!(
            check_document(&json!("123456789"), 10),
            Err(DocumentError::TooLarge(10))
        );
        assert_eq!(depth(&json!({"a": [], "b": {"c": 1}})), 2);
    }
}

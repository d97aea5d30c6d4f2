//! The error of a text that is not read.

/// Why a text is not read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{what}", at(.pointer))]
pub struct JsonError {
    /// The place, as a pointer (RFC 6901).
    pub pointer: String,
    /// The mistake.
    pub what: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        return String::new();
    }
    format!("at `{pointer}`: ")
}

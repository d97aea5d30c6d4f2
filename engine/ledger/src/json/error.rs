//! The error of a text that is not valid JSON.

/// The error of a text that is not valid JSON.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{what}", at(.pointer))]
pub struct JsonError {
    /// The place, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// A description of the error.
    pub what: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        return String::new();
    }
    format!("at `{pointer}`: ")
}

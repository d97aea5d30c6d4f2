//! The error of a pattern that is not in the dialect.

/// The reason for which a pattern is rejected, and a hint about a replacement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PatternSyntaxError {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

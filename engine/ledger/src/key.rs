//! API keys: what they allow, and their limits.

pub(crate) mod definition;
pub(crate) mod limits;

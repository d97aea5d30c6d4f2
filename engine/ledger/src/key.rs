//! API keys: their definitions and their limits.

pub(crate) mod definition;
pub(crate) mod limits;

//! The progress of webhooks, which is kept in notes next to the log.

pub(crate) mod delivery;
pub(crate) mod notes;

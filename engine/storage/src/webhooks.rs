//! The progress of webhooks, which is kept in notes next to the journal.

pub(crate) mod delivery;
pub(crate) mod notes;

//! TODO-DOC

pub(crate) mod delivery;
pub(crate) mod notes;

//! TODO-DOC

pub(crate) mod cache;
pub(crate) mod compiler;
pub(crate) mod queue;

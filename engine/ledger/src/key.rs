//! TODO-DOC

pub(crate) mod definition;
pub(crate) mod limits;

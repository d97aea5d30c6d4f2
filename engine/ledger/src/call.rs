//! TODO-DOC

pub(crate) mod draft;
pub(crate) mod proposal;
pub(crate) mod request;
pub(crate) mod transcript;

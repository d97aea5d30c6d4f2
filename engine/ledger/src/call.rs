//! Calls of plugins: the request, the draft that answers it, its transcript and what it proposes.

pub(crate) mod draft;
pub(crate) mod proposal;
pub(crate) mod request;
pub(crate) mod result;
pub(crate) mod transcript;

//! Calls of plugins: the request, the draft that answers the plugin, the transcript, and the result.

pub(crate) mod draft;
pub(crate) mod proposal;
pub(crate) mod request;
pub(crate) mod result;
pub(crate) mod transcript;

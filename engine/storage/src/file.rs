//! The file itself: its header, its lock, and the files next to it.

pub(crate) mod create;
pub(crate) mod header;
pub(crate) mod lock;
pub(crate) mod log_origin;
pub(crate) mod names;
pub(crate) mod owner;
pub(crate) mod rewrite;
pub(crate) mod stamp;

//! The time of a file.

pub(crate) mod clock;
pub(crate) mod mark;
pub(crate) mod timekeeping;

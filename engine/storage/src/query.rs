//! Reads of the journal that run beside the writer.

pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod past_calls;
pub(crate) mod reader;
pub(crate) mod receipts;
pub(crate) mod revisions;

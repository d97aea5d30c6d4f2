//! Reads of the log that run next to the writer.

pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod past_balances;
pub(crate) mod past_calls;
pub(crate) mod reader;
pub(crate) mod receipts;
pub(crate) mod revisions;
pub(crate) mod source;
pub(crate) mod subjects;

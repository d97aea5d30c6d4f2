//! Indexes of the journal that are kept in tables, and the index next to the log.

pub(crate) mod account_history;
mod builder;
mod entry;
mod error;
mod filter;
#[cfg_attr(not(test), expect(dead_code, reason = "the log will use it"))]
mod folder;
pub(crate) mod idempotency_keys;
mod identity;
mod manifest;
mod merge;
mod opening;
mod page;
#[cfg_attr(not(test), expect(dead_code, reason = "the log will use it"))]
mod record_index;
mod run;
mod run_writer;
mod scan;
mod shared;
pub(crate) mod subjects;
mod tail;
mod varint;
mod verify;
mod view;

#[cfg(test)]
mod tests;

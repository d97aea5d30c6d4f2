//! The index: where records are found in the log by key, by id, by number and by account.

mod builder;
pub(crate) mod entries;
pub(crate) mod entry;
pub(crate) mod error;
mod filter;
mod folder;
mod identity;
mod manifest;
mod merge;
mod opening;
mod page;
mod record_index;
mod run;
mod run_writer;
mod scan;
mod shared;
mod tail;
mod varint;
mod verify;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use folder::RealFolder;
pub(crate) use identity::LogIdentity;
pub(crate) use opening::IndexOpenError;
pub(crate) use record_index::{Index, IndexOptions};
pub(crate) use scan::MergedEntries;
pub(crate) use shared::IndexConfig;

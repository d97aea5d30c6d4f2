//! Work on whole files: audit, backup, restore, export, import, listing, and copies as tables.

pub(crate) mod archive;
pub(crate) mod audit;
pub(crate) mod backup;
mod copy;
pub(crate) mod listing;
pub(crate) mod offline;
mod online;
pub(crate) mod partial;
pub(crate) mod restore;
pub(crate) mod tables;

//! Work on whole files: audit, backup, restore, export and import.

pub(crate) mod archive;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod offline;
pub(crate) mod partial;
pub(crate) mod restore;

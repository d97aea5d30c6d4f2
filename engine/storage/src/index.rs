//! Indexes of the journal that are kept in tables.

pub(crate) mod account_history;
pub(crate) mod idempotency_keys;
pub(crate) mod subjects;

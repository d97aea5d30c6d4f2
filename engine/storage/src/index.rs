//! TODO-DOC

pub(crate) mod account_history;
pub(crate) mod idempotency_keys;
pub(crate) mod subjects;

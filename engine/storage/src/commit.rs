//! The commits of requests: the queue, the writer, and the maintenance between commits.

pub(crate) mod batch;
pub(crate) mod fair_order;
pub(crate) mod gathering;
pub(crate) mod log_gate;
pub(crate) mod maintenance;
pub(crate) mod queue;
pub(crate) mod shared;
pub(crate) mod submission;
pub(crate) mod writer;

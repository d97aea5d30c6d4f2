//! Compilation of components: the child process, the cache of machine code, and the queue.

pub(crate) mod cache;
pub(crate) mod compiler;
pub(crate) mod queue;

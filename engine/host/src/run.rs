//! Runs of components: the sandboxed guest, the host functions, and the answers to them.

pub(crate) mod bindings;
pub(crate) mod call;
pub(crate) mod cpu_time;
pub(crate) mod exports;
pub(crate) mod fuel_prices;
pub(crate) mod guest;
pub(crate) mod imports;
pub(crate) mod responder;
pub(crate) mod ticker;

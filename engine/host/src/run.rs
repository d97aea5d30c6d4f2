//! The run of a component: the guest, its exports, the host functions that it calls, and the responses to them.

pub(crate) mod bindings;
pub(crate) mod call;
pub(crate) mod cpu_time;
pub(crate) mod exports;
pub(crate) mod failure;
pub(crate) mod fuel_prices;
pub(crate) mod guest;
pub(crate) mod imports;
pub(crate) mod responder;
pub(crate) mod ticker;

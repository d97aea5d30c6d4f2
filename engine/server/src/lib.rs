//! The front of the house: HTTP, command line, configuration.
//!
//! * [`economy`] is the one place that knows both rooms below: storage, which remembers, and host,
//!   which runs plugins. A request becomes a submission there; a call becomes a run and then a
//!   submission.
//! * `http` is the API: routes, authentication, and the only mapping from outcomes to status codes.
//! * [`webhooks`] sends events to whoever follows an economy.
//! * `serve` owns listeners, timeouts and the orderly end.
//! * `commands` are the command line, `client` is how they and the demo speak to a running server.
//!
//! Time is read in `clock`, randomness in `random`, the environment in `config`, and nowhere else.

pub mod api_keys;
pub mod bodies;
mod breaker;
pub mod bundled;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod http;
mod keyed_locks;
mod logs;
pub mod random;
mod rate;
pub mod receipt;
pub mod serve;
pub mod service;
pub mod webhooks;

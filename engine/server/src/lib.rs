//! The server: the HTTP API, the command line, webhooks and configuration.
//!
//! * [`service`] connects storage (the database file) and host (the plugin runtime). It turns a request into a
//!   submission to the writer, and a call into a run of a plugin and then a submission.
//! * [`http`] is the API: routes, authentication, and the only mapping from outcomes to status codes.
//! * [`webhooks`] delivers events to the webhooks of an economy.
//! * [`serve`] owns listeners, timeouts and the shutdown.
//! * [`receipt`] describes a recorded call completely, so that anyone can verify it.
//! * [`commands`] is the command line; [`client`] is the HTTP client of the commands and the demo.
//!
//! The main types are [`serve::Server`], a server that listens, and [`service::Service`], which carries out requests
//! and knows no HTTP.
//!
//! # Example
//!
//! The description of the API is made from its routes, without a running server:
//!
//! ```
//! let description = bursar_server::http::openapi();
//! assert_eq!(description["openapi"], "3.1.0");
//! assert!(description["paths"]["/healthz"]["get"].is_object());
//! ```
//!
//! # Rules
//!
//! Only `clock` reads the time, only `random` reads randomness, and only `config` reads the environment.

mod admission;
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

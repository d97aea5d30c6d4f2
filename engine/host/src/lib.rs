//! The room in which strangers think: a component and a draft go in, a transcript comes out.
//!
//! * `check` decides whether a component may run here at all, in stages, and says in plain words
//!   why not. The same code is behind an upload and behind `bursar plugin check`.
//! * `sandbox` is how wasmtime is set up: what is switched on, and that nothing else can be
//!   imported. There is no WASI: a guest has no clock, no randomness, no file and no network.
//! * `call` runs one action in a fresh store, with fuel, a deadline and limits on memory and on
//!   what crosses the border. What it learns and asks goes through a [`Draft`](bursar_ledger::Draft),
//!   which alone knows what a plugin may touch.
//!
//! * `compiler` has components compiled by a child process, after the static limits and on no
//!   request's path; `cache` keeps what it made, under a key of its own.
//!
//! This crate knows no database, no network and no SQL.

mod check;
mod compile;
mod configuration;
mod discord;
mod limits;
mod manifest;
mod plugin;
mod report;
mod run;
mod sandbox;
mod schema;
mod text;

#[cfg(test)]
mod tests;

pub use check::{CheckedComponent, ContractVersion};
pub use compile::cache::Cache;
pub use compile::compiler::{Compiler, compile_for_parent};
pub use configuration::{ConfigurationFinding, ConfigurationReport};
pub use discord::discord_warnings;
pub use limits::{CONFIGURATION_CHECKS_MAX, Limits, UPLOAD_BYTES_MAX, WORKERS_MAX};
pub use manifest::{Action, Manifest, ManifestSchedule, Odds, Stake};
pub use plugin::{CallAttempt, LoadedPlugin, PluginHost};
pub use report::{Finding, LoadError, Report, UploadLocation};
pub use run::call::{CallFailure, CallOutcome, FailedCall, ReplayError, ReplayedCall};
pub use run::cpu_time::of_this_thread as thread_cpu_time;
pub use run::guest::{LogLevel, LogLine};
pub use schema::{NameFormat, NamedValue, SchemaError};

//! The sandboxed runtime of plugins: checks components, compiles them and runs calls.
//!
//! A plugin is a WebAssembly component that follows the contract in `wit/plugin.wit`. A call takes a component and a
//! [`Draft`](bursar_ledger::Draft) of the books, and returns a transcript of what the plugin requested. Nothing is
//! committed here: the ledger decides about the transcript later. This crate uses no database and no network.
//!
//! # Main types
//!
//! * [`PluginHost`] checks components, has them compiled and keeps them loaded.
//! * [`LoadedPlugin`] is one loaded component. It runs calls, replays recorded ones and checks configurations.
//! * [`Report`] and its [`Finding`]s say why a component is rejected. An upload and `bursar plugin check` use the
//!   same check.
//! * [`Manifest`] is what a plugin declares: its actions, accounts, permissions and schemas.
//! * [`CallOutcome`] is a call that ended; [`FailedCall`] is one that this machine could not finish.
//! * [`Compiler`] compiles components in a child process, and [`Cache`] stores the machine code.
//! * [`Limits`] bounds one call.
//!
//! # Example
//!
//! A component is rejected with findings that have stable codes:
//!
//! ```
//! use bursar_host::{Compiler, Limits, LoadError, PluginHost};
//!
//! let host = PluginHost::new(Limits::standard(), Compiler::InProcess, None)?;
//! let Err(LoadError::Refused(report)) = host.check(b"not a component") else {
//!     panic!("the bytes are not a component");
//! };
//! assert_eq!(report.findings[0].code, "not_wasm");
//! # Ok::<(), LoadError>(())
//! ```
//!
//! # Sandbox
//!
//! A guest can import the interfaces of the contract and nothing else. There is no WASI, so a guest has no clock, no
//! randomness, no files and no network. Fuel, a deadline, limits of memory and limits of what is copied between
//! guest and host bound each call.

mod check;
mod checked_component;
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

pub use check::ContractVersion;
pub use checked_component::CheckedComponent;
pub use compile::cache::Cache;
pub use compile::compiler::{Compiler, compile_for_parent};
pub use configuration::{ConfigurationFinding, ConfigurationReport};
pub use discord::discord_warnings;
pub use limits::{CONFIGURATION_CHECKS_MAX, Limits, UPLOAD_BYTES_MAX, WORKERS_MAX};
pub use manifest::{Action, Manifest, ManifestSchedule, Odds, Stake};
pub use plugin::{CallAttempt, LoadedPlugin, PluginHost};
pub use report::{Finding, LoadError, Report, UploadLocation};
pub use run::call::{CallOutcome, FailedCall, ReplayError, ReplayedCall};
pub use run::cpu_time::thread_cpu_time;
pub use run::failure::CallFailure;
pub use run::guest::{LogLevel, LogLine};
pub use schema::{NameFormat, NamedValue, SchemaError};

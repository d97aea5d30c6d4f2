//! Everything that is read from the environment.

use tracing_subscriber::EnvFilter;

use crate::clock;
use crate::logs::{self, LogRation};

/// How logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging to standard error. `BURSAR_LOG` says how much, as in `info` or
/// `bursar_server=debug`; without it, `info`. What is handed back tells which lines were dropped.
pub(crate) fn start_logs(format: LogFormat) -> LogRation {
    let filter = EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    logs::start(format, filter, clock::running())
}

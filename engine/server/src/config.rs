//! Everything that is read from the environment.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

/// How logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging to standard error. `BURSAR_LOG` says how much, as in `info` or
/// `bursar_server=debug`; without it, `info`.
pub fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process keeps the first.
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            registry
                .with(layer().with_ansi(colours).with_writer(std::io::stderr))
                .try_init()
        }
        LogFormat::Json => registry
            .with(layer().json().with_writer(std::io::stderr))
            .try_init(),
    };
    drop(started);
}

//! The format of logs, and the limits on them.
//!
//! Two rules hold for every line. Characters that do not print are escaped, because fields repeat untrusted names,
//! faults and responses. Lines of one kind about one plugin or webhook are rationed, because plugins, members and
//! remote servers decide how often they are written; dropped lines are counted and reported.

mod escapes;
mod layer;
mod ration;

use std::io::IsTerminal;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::prelude::*;

use crate::clock::Ticks;
use escapes::{JsonEscapes, escaped_fields};
pub(crate) use layer::LogRation;

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object on each line, for programs.
    Json,
}

/// The interval between two reports of dropped lines.
pub(crate) const DROP_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Starts logging to standard error. The returned ration reports dropped lines.
pub(crate) fn start(format: LogFormat, filter: EnvFilter, ticks: Ticks) -> LogRation {
    let ration = LogRation::new(ticks);
    let colours = std::io::stderr().is_terminal();
    let logs = subscriber(format, filter, ration.clone(), colours, std::io::stderr);
    // The process may have a subscriber already, as in tests; that one then stays.
    drop(tracing::subscriber::set_global_default(logs));
    ration
}

/// Creates a subscriber that filters, rations and escapes lines.
fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    ration: LogRation,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(filter).with(ration);
    match format {
        LogFormat::Text => {
            let lines = layer().with_ansi(colours).fmt_fields(escaped_fields());
            Box::new(registry.with(lines.with_writer(writer)))
        }
        LogFormat::Json => Box::new(registry.with(layer().json().with_writer(JsonEscapes(writer)))),
    }
}

#[cfg(test)]
mod tests;

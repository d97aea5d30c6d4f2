//! The destination of logs, and their form.
//!
//! Two things hold for every line, whoever logs it. What does not print is an escape: fields repeat names,
//! faults and answers that others wrote. And lines of one kind about one plugin or webhook are rationed,
//! since others decide how often they are written; what was dropped is counted and told.

mod layer;
mod ration;
mod shown;

use std::io::IsTerminal;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::prelude::*;

use crate::clock::Ticks;
use crate::config::LogFormat;
pub(crate) use layer::LogRation;
use shown::{JsonEscapes, escaped_fields};

/// The time between two lines that tell what was dropped.
pub(crate) const DROPS_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Starts logging to standard error, as much as `filter` says. What is handed back tells what was dropped.
pub(crate) fn start(format: LogFormat, filter: EnvFilter, ticks: Ticks) -> LogRation {
    let ration = LogRation::new(ticks);
    let colours = std::io::stderr().is_terminal();
    let logs = subscriber(format, filter, ration.clone(), colours, std::io::stderr);
    // A second start in one process keeps the first.
    drop(tracing::subscriber::set_global_default(logs));
    ration
}

/// The writer of logs: filtered, rationed, and with escapes for what does not print.
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

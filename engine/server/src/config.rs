//! The settings that are read from environment variables.

use tracing_subscriber::EnvFilter;

use crate::clock;
use crate::logs::{self, LogFormat, LogRation};

/// Starts logging to standard error. `BURSAR_LOG` sets the filter, for example `info` or `bursar_server=debug`;
/// the default is `info`. The returned ration reports dropped lines.
pub(crate) fn start_logs(format: LogFormat) -> LogRation {
    let filter = EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    logs::start(format, filter, clock::running())
}

//! The parts that several commands need: an async runtime, a plugin host, and the compiler of components.

use std::time::Duration;

use bursar_host::{Compiler, Limits, PluginHost};
use bursar_ledger::Seed;

use super::error::CommandError;

/// The time for which a command waits at its end for threads that still work.
pub(super) const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Runs a future to its end, on a runtime with a thread for each core.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(CommandError::new)?;
    let output = runtime.block_on(work);
    // Dropping a runtime waits for its blocking threads without a limit, and an audit that a client has requested
    // may still read the whole file.
    runtime.shutdown_timeout(LAST_PATIENCE);
    Ok(output)
}

/// Returns the compiler of components: this program in a child process.
pub(super) fn compiler() -> Result<Compiler, CommandError> {
    let program = std::env::current_exe().map_err(CommandError::new)?;
    let arguments = vec!["compile-component".into()];
    Ok(Compiler::child(program, arguments))
}

/// Returns a plugin host with the limits of a server and without a cache.
pub(super) fn host() -> Result<PluginHost, CommandError> {
    PluginHost::new(Limits::standard(), compiler()?, None).map_err(CommandError::new)
}

/// Parses the value of `--seed`.
pub(super) fn seed(text: &str) -> Result<Seed, &'static str> {
    Seed::try_from(text.to_owned()).map_err(|_| "a seed is 64 hexadecimal digits")
}

//! The `bursar` binary for tests that need a process. It does what `engine/server/src/main.rs` does, and maintains files
//! more often if a test wants that.

use std::process::ExitCode;

use bursar_server::commands;
use bursar_storage::MaintenanceConfig;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Returns the intervals that a test wants.
#[allow(
    clippy::disallowed_methods,
    reason = "an option of `serve` would reach users, who have no use for it"
)]
fn maintenance() -> MaintenanceConfig {
    if std::env::var_os("BURSAR_FREQUENT_MAINTENANCE").is_some() {
        MaintenanceConfig::frequent()
    } else {
        MaintenanceConfig::standard()
    }
}

fn main() -> ExitCode {
    commands::Cli::read().run_with(maintenance())
}

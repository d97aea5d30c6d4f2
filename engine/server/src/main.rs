//! The `bursar` binary.

use std::process::ExitCode;

use bursar_server::commands;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    commands::Cli::read().run()
}

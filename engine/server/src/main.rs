//! `bursar`: one binary, one file.

use std::process::ExitCode;

use bursar_server::commands;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::Cli::read().run()
}

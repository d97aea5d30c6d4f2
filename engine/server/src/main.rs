//! `bursar`: one binary, one file.

use std::process::ExitCode;

use bursar_server::commands;

fn main() -> ExitCode {
    commands::Cli::read().run()
}

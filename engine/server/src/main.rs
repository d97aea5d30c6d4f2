//! `bursar`: one binary, one file.

use std::process::ExitCode;

use bursar_server::commands;
use clap::Parser;

fn main() -> ExitCode {
    commands::Cli::parse().run()
}

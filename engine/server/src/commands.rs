//! The command line: its commands, and how they report errors.

mod audit;
mod backup;
mod bench;
mod child_server;
mod clock;
mod component;
mod demo;
mod error;
mod export;
mod import;
mod input;
mod key;
mod listen;
mod log;
mod notices;
mod openapi;
mod owner;
mod plugin;
mod progress;
mod quota;
mod restore;
mod runtime;
mod serve;
mod sql;
mod style;
mod verify;

use std::process::ExitCode;

use bursar_ledger::Printable;
use bursar_storage::MaintenanceConfig;
use clap::{Parser, Subcommand};

pub use error::CommandError;

/// An economy engine for bots and games: one service owns the money, plugins request movements.
#[derive(Parser, Debug)]
#[command(
    name = "bursar",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API from a database file.
    Serve(serve::Serve),
    /// Run a guided demonstration on a temporary database, then exit.
    Demo(demo::Demo),
    /// Measure the rate, the latency and the cost of a server on a temporary database, or of a running one.
    Bench(Box<bench::BenchOptions>),
    /// Verify every promise against every record of a database file, also while a server uses it.
    Audit(audit::Audit),
    /// Copy a database file, also while a server uses it, and verify the copy.
    Backup(backup::Backup),
    /// Replace a database file by a verified copy of a backup. No server may use the file.
    Restore(restore::Restore),
    /// Write the log of an economy to standard output, as lines of JSON.
    Export(export::Export),
    /// Print the records of a database file, oldest first, as lines of JSON. No server may use the file.
    Log(log::PrintLog),
    /// Write the records and balances of a database file as plain tables for any SQLite tool. No server may use the file.
    Sql(sql::Sql),
    /// Import an economy into a database file, or opening balances into an economy.
    Import(import::Import),
    /// Create, list, rotate and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Show, raise and lower the quotas of an economy.
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// Show the time of a database file, and set it after the clock of the machine was wrong.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Check plugins and replay their calls.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Verify the receipt of a call: its draws, its effects and the run of its component.
    Verify(verify::Verify),
    /// Compile a component for the server that has started this process.
    #[command(hide = true)]
    CompileComponent {
        /// Maximum processor time in seconds
        cpu_s: u64,
    },
    /// Print the OpenAPI 3.1 description of the API.
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    /// Print the third-party components of this program, with their licences and sources.
    Notices(notices::Notices),
}

impl Cli {
    /// Reads the command line. Prints help, the version or a usage error, and then ends the process.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            // A usage error repeats arguments, which may hold characters that control a terminal. Clap prints them
            // as they are, so they are escaped and parsed once more.
            let shown = std::env::args_os().map(|it| Printable(it.to_string_lossy()).to_string());
            Self::try_parse_from(shown).map_or_else(|error| error.exit(), |_| error.exit())
        })
    }

    /// Runs the command and returns its exit code: 0 on success. Prints the error of a command that failed.
    pub fn run(self) -> ExitCode {
        self.run_with(MaintenanceConfig::standard())
    }

    /// Runs the command like [`Cli::run`]. A server maintains its file at the given intervals.
    pub fn run_with(self, maintenance: MaintenanceConfig) -> ExitCode {
        let result = match self.command {
            Command::Serve(serve) => serve.run(maintenance),
            Command::Demo(demo) => demo.run(),
            Command::Bench(bench) => bench.run(),
            Command::Audit(audit) => audit.run(),
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run(),
            Command::Export(export) => export.run(),
            Command::Log(log) => log.run(),
            Command::Sql(sql) => sql.run(),
            Command::Import(import) => import.run(),
            Command::Key(key) => key.run(),
            Command::Quota(quota) => quota.run(),
            Command::Clock(clock) => clock.run(),
            Command::Plugin(plugin) => plugin.run(),
            Command::CompileComponent { cpu_s } => return bursar_host::compile_for_parent(cpu_s),
            Command::Verify(verify) => verify.run(),
            Command::OpenApi(openapi) => openapi.run(),
            Command::Notices(notices) => notices.run(),
        };
        match result {
            Ok(code) => code,
            Err(error) => {
                style::error(&error);
                error.details().iter().for_each(style::remark);
                ExitCode::FAILURE
            }
        }
    }
}

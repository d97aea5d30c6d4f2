//! The command line: what there is, and how a command ends.

mod audit;
mod backup;
mod clock;
mod component;
mod demo;
mod export;
mod import;
mod input;
mod key;
mod listen;
mod notices;
mod openapi;
mod owner;
mod plugin;
mod progress;
mod quota;
mod restore;
mod serve;
mod style;
mod verify;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use bursar_host::{Compiler, Limits, PluginHost};
use bursar_ledger::{Printable, Seed};
use clap::{Parser, Subcommand};

/// An economy engine: one service owns the money, plugins can only ask for it.
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
    /// Show the whole story on a database of its own. Ends by itself.
    Demo(demo::Demo),
    /// Check every promise against every record of a file, also while it is being served.
    Audit(audit::Audit),
    /// Copy a file, also while it is being served, and verify the copy.
    Backup(backup::Backup),
    /// Put a verified copy of a backup in the place of a file that nobody serves.
    Restore(restore::Restore),
    /// Write an economy's journal to standard output, as lines of JSON.
    Export(export::Export),
    /// Bring an economy into a file, or opening balances into an economy.
    Import(import::Import),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Show, raise and lower the quotas of an economy.
    #[command(subcommand)]
    Quota(quota::Quotas),
    /// Show the time that a file goes by, and set it where the clock of the machine was wrong.
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Work on plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Check the receipt of a call: its draws, and the run of its component.
    Verify(verify::Verify),
    /// Compile a component for the server that has started this process.
    #[command(hide = true)]
    CompileComponent {
        /// Seconds of a processor that this may take
        cpu_s: u64,
    },
    /// Print the API's description, as OpenAPI 3.1.
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    /// Print the third-party parts of this program, with their licences and where to get their source.
    Notices(notices::Notices),
}

impl Cli {
    /// Reads the command line. Help and version end the process in here, and so does what cannot be read.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            // What cannot be read is repeated, and may be the name of a file: so it is read again, as it
            // may be shown.
            let shown = std::env::args_os().map(|it| Printable(it.to_string_lossy()).to_string());
            Self::try_parse_from(shown).map_or_else(|error| error.exit(), |_| error.exit())
        })
    }

    /// Runs the command and says how the process ends: 0 if it did what it says, 1 if not.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Demo(demo) => demo.run(),
            Command::Audit(audit) => audit.run(),
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run(),
            Command::Export(export) => export.run(),
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
        match done {
            Ok(code) => code,
            Err(error) => {
                style::complain(&error);
                error.details.iter().for_each(style::remark);
                ExitCode::FAILURE
            }
        }
    }
}

/// Why a command did not do what it says, in a sentence that says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct CommandError {
    sentence: String,
    /// Lines that stand beneath it.
    details: Vec<String>,
}

impl CommandError {
    fn new(sentence: impl Display) -> Self {
        Self {
            sentence: sentence.to_string(),
            details: Vec::new(),
        }
    }

    /// The same, with what is known of it, line by line.
    fn because(self, details: impl Display) -> Self {
        let details = details.to_string().lines().map(Into::into).collect();
        Self { details, ..self }
    }
}

/// The compiler of components: this very program, in a process of its own.
fn compiler() -> Result<Compiler, CommandError> {
    let program = std::env::current_exe().map_err(CommandError::new)?;
    let arguments = vec!["compile-component".into()];
    Ok(Compiler::child(program, arguments))
}

/// A host to load components into, as a server has it, but for the cache.
fn host() -> Result<PluginHost, CommandError> {
    PluginHost::new(Limits::standard(), compiler()?, None).map_err(CommandError::new)
}

/// A seed, as `--seed` takes it.
fn seed(text: &str) -> Result<Seed, &'static str> {
    Seed::try_from(text.to_owned()).map_err(|_| "a seed is 64 hexadecimal digits")
}

/// How long threads that still work are waited for at the very end.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

type Done = Result<ExitCode, CommandError>;

/// The runtime of a command: as many threads as there are cores.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(CommandError::new)?;
    let done = runtime.block_on(work);
    // What still reads the file, such as an audit that was asked for, is not waited for.
    runtime.shutdown_timeout(LAST_PATIENCE);
    Ok(done)
}

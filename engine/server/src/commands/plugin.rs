//! `bursar plugin`: the commands for plugin authors.

mod check;
mod replay;
mod schema;

use clap::Subcommand;

use super::error::CommandResult;

#[derive(Subcommand, Debug)]
pub(super) enum PluginCommand {
    /// Check a component as a server does at upload.
    Check(check::CheckCommand),
    /// Replay recorded calls, with the component that ran or with another one.
    Replay(replay::Replay),
    /// Print the JSON Schema of plugin manifests.
    Schema(schema::SchemaCommand),
}

impl PluginCommand {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Check(check) => check.run(),
            Self::Replay(replay) => replay.run(),
            Self::Schema(schema) => schema.run(),
        }
    }
}

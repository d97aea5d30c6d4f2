//! `bursar plugin schema`: the JSON Schema of manifests.

use std::io::Write;
use std::process::ExitCode;

use bursar_host::Manifest;
use clap::Args;

use crate::commands::error::{CommandError, CommandResult};

/// Print the JSON Schema of plugin manifests.
#[derive(Args, Debug)]
pub(in crate::commands) struct SchemaCommand;

impl SchemaCommand {
    #[expect(clippy::unused_self, reason = "all commands have the same method")]
    pub(super) fn run(self) -> CommandResult {
        let schema = Manifest::schema();
        let document = serde_json::to_string_pretty(&schema).map_err(CommandError::new)?;
        let mut out = std::io::stdout().lock();
        // A reader may close the pipe early, which is not a failure of the command.
        drop(writeln!(out, "{document}"));
        Ok(ExitCode::SUCCESS)
    }
}

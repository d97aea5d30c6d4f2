//! `bursar plugin schema`

use std::io::Write;
use std::process::ExitCode;

use bursar_host::Manifest;
use clap::Args;

use crate::commands::{CommandError, Done};

/// Print the JSON Schema of manifests.
#[derive(Args, Debug)]
pub(in crate::commands) struct Schema;

impl Schema {
    #[expect(clippy::unused_self, reason = "every command is run like this")]
    pub(super) fn run(self) -> Done {
        let schema = Manifest::schema();
        let document = serde_json::to_string_pretty(&schema).map_err(CommandError::new)?;
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough closes the pipe, which is no failure of the command.
        drop(writeln!(out, "{document}"));
        Ok(ExitCode::SUCCESS)
    }
}

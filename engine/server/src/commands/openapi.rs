//! `bursar openapi`: the description of the API.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::error::{CommandError, CommandResult};
use crate::http;

/// Print the OpenAPI 3.1 description of the API.
#[derive(Args, Debug)]
pub(super) struct OpenApi;

impl OpenApi {
    #[expect(clippy::unused_self, reason = "all commands have the same method")]
    pub(super) fn run(self) -> CommandResult {
        let document = serde_json::to_string_pretty(&http::openapi()).map_err(CommandError::new)?;
        let mut out = std::io::stdout().lock();
        // A reader may close the pipe early, which is not a failure of the command.
        drop(writeln!(out, "{document}"));
        Ok(ExitCode::SUCCESS)
    }
}

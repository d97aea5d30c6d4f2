//! `bursar openapi`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{CommandError, Done};
use crate::http;

/// Print the API's description, as OpenAPI 3.1.
#[derive(Args, Debug)]
pub(super) struct OpenApi;

impl OpenApi {
    #[expect(clippy::unused_self, reason = "every command is run like this")]
    pub(super) fn run(self) -> Done {
        let document = serde_json::to_string_pretty(&http::openapi()).map_err(CommandError::new)?;
        let mut out = std::io::stdout().lock();
        // Whoever reads it may have seen enough.
        drop(writeln!(out, "{document}"));
        Ok(ExitCode::SUCCESS)
    }
}

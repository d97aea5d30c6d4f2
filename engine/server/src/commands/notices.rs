//! `bursar notices`: the licences of third-party components.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::error::CommandResult;

/// The notices, generated from the lockfile. A test compares the two.
const NOTICES: &str = include_str!("../../../../THIRD-PARTY.md");

/// Print the third-party components of this program, with their licences and sources.
#[derive(Args, Debug)]
pub(super) struct Notices;

impl Notices {
    #[expect(clippy::unused_self, reason = "all commands have the same method")]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "all commands have the same method"
    )]
    pub(super) fn run(self) -> CommandResult {
        let mut out = std::io::stdout().lock();
        // A reader may close the pipe early, which is not a failure of the command.
        drop(out.write_all(NOTICES.as_bytes()));
        Ok(ExitCode::SUCCESS)
    }
}

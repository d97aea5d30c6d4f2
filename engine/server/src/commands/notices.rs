//! `bursar notices`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::Done;

/// Made from the lockfile; a test holds it against that.
const NOTICES: &str = include_str!("../../../../THIRD-PARTY.md");

/// Print the licences of third-party parts.
#[derive(Args, Debug)]
pub(super) struct Notices;

impl Notices {
    #[expect(clippy::unused_self, reason = "every command is run like this")]
    #[expect(clippy::unnecessary_wraps, reason = "every command ends with a result")]
    pub(super) fn run(self) -> Done {
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough closes the pipe, which is no failure of the command.
        drop(out.write_all(NOTICES.as_bytes()));
        Ok(ExitCode::SUCCESS)
    }
}

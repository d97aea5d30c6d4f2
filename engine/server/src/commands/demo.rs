//! `bursar demo`: a guided demonstration that uses the HTTP API of a server process.

mod holds;
mod run;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::error::{CommandError, CommandResult};
use super::runtime::block_on;
use super::style;
use run::DemoRun;

/// Run a guided demonstration on a temporary database, then exit.
///
/// Exit codes: 0 if every check of the demonstration passes, 1 otherwise.
#[derive(Args, Debug)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(self) -> CommandResult {
        let Self {} = self;
        block_on(demonstrate())?
    }
}

async fn demonstrate() -> CommandResult {
    let began = Instant::now();
    style::say(
        "Bursar, from an empty folder to an audit. The demonstration uses a server process,",
    );
    style::say("a database file, HTTP requests and WebAssembly components.");
    let mut run = DemoRun::start().map_err(CommandError::new)?;
    let result = steps::all(&mut run).await;
    result.map_err(CommandError::new)?;
    let seconds = began.elapsed().as_secs_f32();
    let (passed, failed) = run.counts();
    if failed == 0 {
        style::title(format!("All {passed} checks held, in {seconds:.1} s."));
        style::say("Next: `bursar serve`, and the first five minutes with curl in README.md.");
        return Ok(ExitCode::SUCCESS);
    }
    style::title(format!(
        "{failed} of {} checks did not hold.",
        passed + failed
    ));
    Ok(ExitCode::FAILURE)
}

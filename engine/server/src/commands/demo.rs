//! `bursar demo`: the whole story, through the real API of a real server process.

mod chapters;
mod stage;
mod stakes;

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::{CommandError, Done, block_on, style};
use stage::Stage;

/// Show the whole story on a database of its own. Ends by itself, with 0 only if all of it held.
#[derive(Args, Debug)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(self) -> Done {
        let Self {} = self;
        block_on(tell())?
    }
}

async fn tell() -> Done {
    let began = Instant::now();
    style::say(
        "Bursar, from an empty folder to an audit. Everything here is a real server process,",
    );
    style::say("a real file, real HTTP and real WebAssembly components.");
    let mut stage = Stage::set().await.map_err(CommandError::new)?;
    let told = chapters::all(&mut stage).await;
    stage.clear().await;
    told.map_err(CommandError::new)?;
    let seconds = began.elapsed().as_secs_f32();
    let (held, failed) = stage.score();
    if failed == 0 {
        style::title(format!("All {held} checks held, in {seconds:.1} s."));
        style::say("Next: `bursar serve`, and the five minutes with curl in README.md.");
        return Ok(ExitCode::SUCCESS);
    }
    style::title(format!(
        "{failed} of {} checks did not hold.",
        held + failed
    ));
    Ok(ExitCode::FAILURE)
}

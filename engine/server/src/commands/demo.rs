//! `bursar demo`
use super::Done;
use clap::Args;
/// Show the whole story.
#[derive(Args, Debug)]
pub(super) struct Demo {}
impl Demo {
    pub(super) fn run(self) -> Done {
        Ok(std::process::ExitCode::SUCCESS)
    }
}

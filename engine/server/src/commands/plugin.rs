//! `bursar plugin`

mod check;
mod replay;

use clap::Subcommand;

use super::Done;

#[derive(Subcommand, Debug)]
pub(super) enum Plugin {
    /// Check a component as a server does at upload: the same code, the same verdict.
    Check(check::Check),
    /// Run recorded calls again, by the component that ran or by another one.
    Replay(replay::Replay),
}

impl Plugin {
    pub(super) fn run(self) -> Done {
        match self {
            Self::Check(check) => check.run(),
            Self::Replay(replay) => replay.run(),
        }
    }
}

//! `bursar plugin`

mod check;
mod replay;
mod schema;

use clap::Subcommand;

use super::Done;

#[derive(Subcommand, Debug)]
pub(super) enum Plugin {
    /// Check a component as a server does at upload: the same code, the same verdict.
    Check(check::Check),
    /// Run recorded calls again, by the component that ran or by another one.
    Replay(replay::Replay),
    /// Print the JSON Schema of manifests.
    Schema(schema::Schema),
}

impl Plugin {
    pub(super) fn run(self) -> Done {
        match self {
            Self::Check(check) => check.run(),
            Self::Replay(replay) => replay.run(),
            Self::Schema(schema) => schema.run(),
        }
    }
}

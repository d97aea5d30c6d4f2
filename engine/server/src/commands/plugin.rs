//! `bursar plugin check`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::{Limits, PluginHost};
use bursar_ledger::Digest;
use clap::{Args, Subcommand};

use super::{CommandError, Done, style};

#[derive(Subcommand, Debug)]
pub(super) enum Plugin {
    /// Check a component as a server does at upload: the same code, the same verdict.
    Check(Check),
}

/// Check a component as a server does at upload: the same code, the same verdict.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The component, a `.wasm` file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Plugin {
    pub(super) fn run(self) -> Done {
        let Self::Check(check) = self;
        let path = check.file.display();
        let bytes = std::fs::read(&check.file)
            .map_err(|error| CommandError::new(format!("{path}: {error}")))?;
        let host = PluginHost::new(Limits::standard(), super::compiler()?, None)
            .map_err(CommandError::new)?;
        match host.check(&bytes) {
            Ok(checked) => {
                let manifest = checked.manifest();
                style::tick(
                    true,
                    format!("{} {} may run", manifest.id, manifest.version),
                );
                style::note(&manifest.description);
                style::note(format!("component {}", Digest::of(&bytes)));
                for action in &manifest.actions {
                    style::note(format!("action {}: {}", action.name, action.description));
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(report) => {
                style::tick(false, format!("{path} may not run"));
                for finding in &report.findings {
                    style::note(format!("{}: {}", finding.code, finding.message));
                    if let Some(hint) = &finding.hint {
                        style::note(format!("  {hint}"));
                    }
                }
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

//! The error of a command, and the result with which every command ends.

use std::fmt::Display;
use std::process::ExitCode;

/// The exit code of a command, or the error for which it failed.
pub(super) type CommandResult = Result<ExitCode, CommandError>;

/// A failed command: one sentence with what to do, and details.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct CommandError {
    sentence: String,
    /// Lines that are printed below the sentence.
    details: Vec<String>,
}

impl CommandError {
    pub(super) fn new(sentence: impl Display) -> Self {
        Self {
            sentence: sentence.to_string(),
            details: Vec::new(),
        }
    }

    /// Replaces the details, one for each line of a text.
    pub(super) fn with_details(self, details: impl Display) -> Self {
        let details = details.to_string().lines().map(Into::into).collect();
        Self { details, ..self }
    }

    pub(super) fn details(&self) -> &[String] {
        &self.details
    }
}

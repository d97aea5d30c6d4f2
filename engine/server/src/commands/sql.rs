//! `bursar sql`: a copy of a file as plain tables.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::write_tables_of_file;
use clap::Args;

use super::error::{CommandError, CommandResult};
use super::owner::{check_exists, lock_free};
use super::progress::progress;
use super::style;

/// Write the records and balances of a database file as plain tables for any SQLite tool. No server may use the file.
///
/// The tables hold everything that the records hold, also the seeds of economies and the secrets of webhooks.
#[derive(Args, Debug)]
pub(super) struct Sql {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The path of the tables; it must not exist yet
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

impl Sql {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        // The copy itself takes the lock while it reads.
        drop(lock_free(&self.file, "make the tables")?);
        let report = write_tables_of_file(&self.file, &self.out, &mut progress("copied"));
        let report = report.map_err(CommandError::new)?;
        style::say(format!(
            "{}: {} bytes, {} records, {} movements",
            report.path.display(),
            report.bytes,
            report.records,
            report.movements
        ));
        Ok(ExitCode::SUCCESS)
    }
}

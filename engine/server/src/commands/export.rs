//! `bursar export`: the log of an economy as lines of JSON.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::EconomyId;
use bursar_storage::{ArchiveError, export_file};
use clap::Args;

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, LONG_PATIENCE, access, check_exists, into_body};
use super::progress::progress;
use super::runtime::block_on;
use super::style;
use crate::client::Client;
use crate::service::SYSTEM;

/// Write the log of an economy to standard output, as lines of JSON.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The economy to export
    #[arg(long)]
    economy: EconomyId,
}

impl Export {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        if self.economy.as_str() == SYSTEM {
            return Err(CommandError::new(ArchiveError::Reserved(self.economy)));
        }
        let mut output = io::BufWriter::new(io::stdout().lock());
        match access(&self.file)? {
            FileAccess::Free(lock) => {
                // The export itself takes the lock while it reads.
                drop(lock);
                let mut write = |line: Vec<u8>| output.write_all(&line);
                let mut progress = progress("exported");
                export_file(&self.file, &self.economy, &mut write, &mut progress)
                    .map_err(CommandError::new)?;
            }
            FileAccess::Served(client) => {
                style::remark("A server uses this file and exports the economy.");
                block_on(export_served(*client, &self.economy, &mut output))??;
            }
        }
        output.flush().map_err(CommandError::new)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Requests an export from the server that uses the file.
async fn export_served(
    client: Client,
    economy: &EconomyId,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    let path = format!("/v1/economies/{economy}/export");
    let mut write = |chunk: &[u8]| output.write_all(chunk);
    let response = client.stream(&path, &mut write).await;
    into_body(&response.map_err(CommandError::new)?).map(drop)
}

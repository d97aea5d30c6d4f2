//! `bursar export`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::EconomyId;
use bursar_storage::{ArchiveError, export_file};
use clap::Args;

use super::owner::{Access, LONG_PATIENCE, access, check_there, owner_says};
use super::progress::progress;
use super::{CommandError, Done, block_on, style};
use crate::client::Client;
use crate::service::SYSTEM;

/// Write an economy's journal to standard output, as lines of JSON.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The economy
    #[arg(long)]
    economy: EconomyId,
}

impl Export {
    pub(super) fn run(self) -> Done {
        check_there(&self.file)?;
        if self.economy.as_str() == SYSTEM {
            return Err(CommandError::new(ArchiveError::Reserved(self.economy)));
        }
        let mut output = io::BufWriter::new(io::stdout().lock());
        match access(&self.file)? {
            Access::Ours(lock) => {
                // The export takes the lock again itself, for as long as it reads.
                drop(lock);
                let mut take = |line: Vec<u8>| output.write_all(&line);
                let mut shown = progress("exported");
                export_file(&self.file, &self.economy, &mut take, &mut shown)
                    .map_err(CommandError::new)?;
            }
            Access::Theirs(client) => {
                style::remark("The file is being served; its owner exports it.");
                block_on(ask(*client, &self.economy, &mut output))??;
            }
        }
        output.flush().map_err(CommandError::new)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask(
    client: Client,
    economy: &EconomyId,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    let path = format!("/v1/economies/{economy}/export");
    let mut take = |chunk: &[u8]| output.write_all(chunk);
    let streamed = client.stream(&path, &mut take).await;
    owner_says(&streamed.map_err(CommandError::new)?).map(drop)
}

//! `bursar backup`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::back_up_file;
use clap::Args;
use serde_json::Value;

use super::owner::{Access, LONG_PATIENCE, access, check_there, owner_says};
use super::progress::progress;
use super::{CommandError, Done, block_on, style};
use crate::client::Client;
use crate::http::{BackupBody, render};

/// Copy a file, also while it is being served, and verify the copy.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the copy is to be; nothing may be there yet
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Apply and compare each record of the copy, and do not decide it again
    #[arg(long)]
    quick: bool,
}

impl Backup {
    pub(super) fn run(self) -> Done {
        check_there(&self.file)?;
        let asked = BackupBody {
            path: std::path::absolute(&self.to).map_err(CommandError::new)?,
            quick: self.quick,
        };
        let report = match access(&self.file)? {
            Access::Ours(lock) => {
                // The backup takes the lock again itself, for as long as it reads.
                drop(lock);
                let mut shown = progress("verified");
                let made = back_up_file(&self.file, &asked.path, asked.plan(), render, &mut shown);
                serde_json::to_value(made.map_err(CommandError::new)?).map_err(CommandError::new)?
            }
            Access::Theirs(client) => {
                style::remark("The file is being served; its owner copies it.");
                block_on(ask(*client, &asked))??
            }
        };
        print(&report);
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask(client: Client, asked: &BackupBody) -> Result<Value, CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    let body = serde_json::to_vec(asked).map_err(CommandError::new)?;
    let sent = client.send("POST", "/v1/backup", None, body.into());
    owner_says(&sent.await.map_err(CommandError::new)?)
}

fn print(report: &Value) {
    let text = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (path, bytes) = (text(report, "path"), text(report, "bytes"));
    let how = if report.get("audited") == Some(&Value::Bool(true)) {
        "every promise holds"
    } else {
        "every record fits"
    };
    style::say(format!(
        "{path}: {bytes} bytes, {} records, {how}",
        text(report, "records")
    ));
    for head in report
        .get("economies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let (economy, hash) = (text(head, "economy"), text(head, "head"));
        style::say(format!("{economy}:{hash} record {}", text(head, "seq")));
    }
}

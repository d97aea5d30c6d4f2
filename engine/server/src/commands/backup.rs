//! `bursar backup`: a verified copy of a database file.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::back_up_file;
use clap::Args;
use serde_json::Value;

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, LONG_PATIENCE, access, check_exists, into_body};
use super::progress::progress;
use super::runtime::block_on;
use super::style;
use crate::client::Client;
use crate::http::{BackupBody, render};

/// Copy a database file, also while a server uses it, and verify the copy.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The path of the copy; it must not exist yet
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Verify faster: apply each record of the copy, without deciding it again
    #[arg(long)]
    quick: bool,
}

impl Backup {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        let request = BackupBody {
            path: std::path::absolute(&self.to).map_err(CommandError::new)?,
            quick: self.quick,
        };
        let report = match access(&self.file)? {
            FileAccess::Free(lock) => {
                // The backup itself takes the lock while it reads.
                drop(lock);
                let mut progress = progress("verified");
                let plan = request.plan();
                let report = back_up_file(&self.file, &request.path, plan, render, &mut progress);
                serde_json::to_value(report.map_err(CommandError::new)?)
                    .map_err(CommandError::new)?
            }
            FileAccess::Served(client) => {
                style::remark("A server uses this file and makes the copy.");
                block_on(back_up_served(*client, &request))??
            }
        };
        print(&report);
        Ok(ExitCode::SUCCESS)
    }
}

/// Requests a backup from the server that uses the file.
async fn back_up_served(client: Client, request: &BackupBody) -> Result<Value, CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    let body = serde_json::to_vec(request).map_err(CommandError::new)?;
    let response = client.send("POST", "/v1/backup", None, body.into());
    into_body(&response.await.map_err(CommandError::new)?)
}

fn print(report: &Value) {
    let text = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let path = text(report, "path");
    let bytes = text(report, "bytes");
    let verdict = if report.get("audited") == Some(&Value::Bool(true)) {
        "every promise holds"
    } else {
        "every record fits"
    };
    style::say(format!(
        "{path}: {bytes} bytes, {} records, {verdict}",
        text(report, "records")
    ));
    for head in report
        .get("economies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let economy = text(head, "economy");
        let hash = text(head, "head");
        style::say(format!("{economy}:{hash} record {}", text(head, "seq")));
    }
}

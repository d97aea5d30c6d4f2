//! `bursar audit`: the promises of the ledger, verified against a file.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{AuditReport, HEADS_MAX, SeenHead, audit_file, clock_of_file};
use clap::Args;
use serde_json::Value;

use super::clock as file_clock;
use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, LONG_PATIENCE, access, check_exists, into_body};
use super::progress::progress;
use super::runtime::block_on;
use super::style;
use crate::client::Client;
use crate::clock;
use crate::http::render;

/// Verify every promise against every record of a database file, also while a server uses it.
#[derive(Args, Debug)]
pub(super) struct Audit {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// The hash of a record that you noted before, which the log must still contain; can be repeated
    #[arg(long = "head", value_name = "[ECONOMY:]HASH")]
    heads: Vec<SeenHead>,
}

impl Audit {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        if self.heads.len() > HEADS_MAX {
            return Err(CommandError::new(format!(
                "one audit takes at most {HEADS_MAX} values of --head; run several audits"
            )));
        }
        let report = match access(&self.file)? {
            FileAccess::Free(lock) => {
                // The audit itself takes the lock while it reads.
                drop(lock);
                let report = audit_file(&self.file, &self.heads, render, &mut progress("audited"));
                let report = AuditReport {
                    // The time of a file is that of its last record, which may be unreadable.
                    clock: clock_of_file(&self.file, &clock::system())
                        .ok()
                        .map(|it| it.view),
                    ..report.map_err(CommandError::new)?
                };
                serde_json::to_value(report).map_err(CommandError::new)?
            }
            FileAccess::Served(client) => {
                style::remark("A server uses this file and makes the audit.");
                block_on(audit_served(*client, &self.heads))??
            }
        };
        if self.json {
            style::value(&report);
        } else {
            print(&report);
        }
        let ok = report.get("ok").and_then(Value::as_bool).unwrap_or(false);
        Ok(if ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Requests an audit from the server that uses the file.
async fn audit_served(client: Client, heads: &[SeenHead]) -> Result<Value, CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    // Neither part of a head has a character that must be escaped in a query.
    let heads: Vec<String> = heads.iter().map(|head| format!("head={head}")).collect();
    let path = format!("/v1/audit?{}", heads.join("&"));
    let response = client.get(&path).await.map_err(CommandError::new)?;
    into_body(&response)
}

/// Prints a report for people.
pub(super) fn print(report: &Value) {
    let text = |value: &Value, name: &str| -> String {
        value
            .get(name)
            .map(|v| v.as_str().map_or_else(|| v.to_string(), Into::into))
            .unwrap_or_default()
    };
    let list = |value: &Value, name: &str| -> Vec<Value> {
        value
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let counted = format!(
        "{} records, {} movements",
        text(report, "records"),
        text(report, "movements")
    );
    style::title(format!("Audit of {counted}"));
    for promise in list(report, "promises") {
        let ok = promise.get("ok").and_then(Value::as_bool).unwrap_or(false);
        let name = text(&promise, "name");
        style::tick(
            ok,
            format!(
                "{:>2}. {name:<20} {}",
                text(&promise, "number"),
                text(&promise, "checked")
            ),
        );
        for finding in list(&promise, "findings") {
            style::note(finding.as_str().unwrap_or_default());
        }
    }
    for outside in list(report, "outside") {
        let record = text(&outside, "explained_by_seq");
        style::note(format!(
            "{}; explained by record {record}",
            text(&outside, "what")
        ));
    }
    for head in list(report, "heads") {
        if let Some(seq) = head.get("seq").and_then(Value::as_u64) {
            let economy = text(&head, "economy");
            let hash = text(&head, "head");
            style::note(format!("{hash}, noted before, is {economy}: record {seq}"));
        }
    }
    for head in list(report, "economies") {
        let economy = text(&head, "economy");
        let hash = text(&head, "head");
        style::note(format!("{economy}:{hash} record {}", text(&head, "seq")));
    }
    for caveat in list(report, "caveats") {
        let caveat = caveat.as_str().unwrap_or_default();
        style::remark(format!("The audit cannot rule this out: {caveat}."));
    }
    if list(report, "heads").is_empty() {
        style::remark(
            "An audit sees only the records in the file. To detect missing records at the end, keep a head elsewhere \
             and pass it with --head ECONOMY:HASH.",
        );
    }
    if let Some(clock) = report
        .get("clock")
        .filter(|it| !file_clock::is_followed(it))
    {
        style::error(file_clock::ADVICE);
        file_clock::lines(clock).iter().for_each(style::note);
    }
}

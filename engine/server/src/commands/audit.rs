//! `bursar audit`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{AuditReport, HEADS_MAX, SeenHead, audit_file, clock_of_file};
use clap::Args;
use serde_json::Value;

use super::clock as file_clock;
use super::owner::{Access, LONG_PATIENCE, access, check_there, owner_says};
use super::progress::progress;
use super::{CommandError, Done, block_on, style};
use crate::client::Client;
use crate::clock;
use crate::http::render;

/// Check every promise against every record of a file, also while it is being served.
#[derive(Args, Debug)]
pub(super) struct Audit {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// A head that was seen before, which must still be a record's; may be said several times
    #[arg(long = "head", value_name = "[ECONOMY:]HASH")]
    heads: Vec<SeenHead>,
}

impl Audit {
    pub(super) fn run(self) -> Done {
        check_there(&self.file)?;
        if self.heads.len() > HEADS_MAX {
            return Err(CommandError::new(format!(
                "one audit looks for {HEADS_MAX} heads at most; run several"
            )));
        }
        let report = match access(&self.file)? {
            Access::Ours(lock) => {
                // The audit takes the lock again itself, for as long as it reads.
                drop(lock);
                let report = audit_file(&self.file, &self.heads, render, &mut progress("audited"));
                let report = AuditReport {
                    // Of a file that cannot be followed to its end nobody knows what time it goes by.
                    clock: clock_of_file(&self.file, &clock::system())
                        .ok()
                        .map(|it| it.view),
                    ..report.map_err(CommandError::new)?
                };
                serde_json::to_value(report).map_err(CommandError::new)?
            }
            Access::Theirs(client) => {
                style::remark("The file is being served; its owner audits it.");
                block_on(ask(*client, &self.heads))??
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

async fn ask(client: Client, heads: &[SeenHead]) -> Result<Value, CommandError> {
    let mut client = client.with_patience(LONG_PATIENCE);
    // Neither part of a head has a character that a query must escape.
    let heads: Vec<String> = heads.iter().map(|head| format!("head={head}")).collect();
    let path = format!("/v1/audit?{}", heads.join("&"));
    let answer = client.get(&path).await.map_err(CommandError::new)?;
    owner_says(&answer)
}

/// A report, for people.
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
            let (economy, hash) = (text(&head, "economy"), text(&head, "head"));
            style::note(format!("{hash}, seen before, is {economy}: record {seq}"));
        }
    }
    for head in list(report, "economies") {
        let (economy, hash) = (text(&head, "economy"), text(&head, "head"));
        style::note(format!("{economy}:{hash} record {}", text(&head, "seq")));
    }
    for caveat in list(report, "caveats") {
        let caveat = caveat.as_str().unwrap_or_default();
        style::remark(format!("This cannot be ruled out: {caveat}."));
    }
    if list(report, "heads").is_empty() {
        style::remark(
            "An audit sees the records that are there. That none is missing at the end is told by a head \
             that you keep elsewhere: --head ECONOMY:HASH.",
        );
    }
    if let Some(clock) = report
        .get("clock")
        .filter(|it| !file_clock::is_followed(it))
    {
        style::complain(file_clock::advice());
        file_clock::lines(clock).iter().for_each(style::note);
    }
}

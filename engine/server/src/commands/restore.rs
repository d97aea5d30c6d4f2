//! `bursar restore`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{LostRecords, RestoreReport, restore_file};
use clap::Args;

use super::owner::{Access, access, check_there};
use super::progress::progress;
use super::{CommandError, Done, style};
use crate::http::{BackupBody, render};

/// Put a verified copy of a backup in the place of a file that nobody serves.
///
/// A file that is there already is kept beside it, with its write-ahead log, as FILE.replaced-1 and so on.
/// Until the copy is verified nothing of it changes.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The backup; it stays as it is
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The database file that is to be as the backup
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Apply and compare each record of the copy, and do not decide it again
    #[arg(long)]
    quick: bool,
}

impl Restore {
    pub(super) fn run(self) -> Done {
        check_there(&self.backup)?;
        for file in [&self.backup, &self.to] {
            match access(file)? {
                // The restore takes the locks again itself, for as long as it works.
                Access::Ours(lock) => drop(lock),
                Access::Theirs(_) => {
                    let path = file.display();
                    return Err(CommandError::new(format!(
                        "{path} is being served: stop the server first; a restore works on files that \
                         nobody serves"
                    )));
                }
            }
        }
        let plan = BackupBody {
            path: self.to.clone(),
            quick: self.quick,
        };
        let plan = plan.plan();
        let mut shown = progress("verified");
        let report = restore_file(&self.backup, &self.to, plan, render, &mut shown);
        print(&report.map_err(CommandError::new)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(report: &RestoreReport) {
    let file = &report.file;
    let path = file.path.display();
    let how = if file.audited {
        "every promise holds"
    } else {
        "every record fits"
    };
    let (bytes, records) = (file.bytes, file.records);
    style::say(format!("{path}: {bytes} bytes, {records} records, {how}"));
    for head in &file.economies {
        let (economy, hash) = (&head.economy, head.head);
        style::say(format!("{economy}:{hash} record {}", head.seq));
    }
    if let Some(replaced) = &report.replaced {
        let replaced = replaced.display();
        style::remark(format!(
            "The file that was there is {replaced}. Remove it once you need it no more."
        ));
    }
    for LostRecords {
        economy,
        before,
        now,
    } in &report.gone
    {
        style::remark(format!(
            "`{economy}` was at record {before} and is at record {now}."
        ));
    }
    if report.may_lack_records {
        style::remark(
            "The backup was not closed in order and has no write-ahead log beside it: its newest \
             records may be missing.",
        );
    }
    style::remark(format!(
        "What was committed after the backup is gone from {path}, with its idempotency keys: a request \
         of that time that is sent again is carried out again."
    ));
    style::remark(
        "Consumers of events that have read further are told `position_past_head` or `history_changed`; \
         webhooks go on from where the backup has them.",
    );
    style::remark(format!(
        "API keys are those of the backup, also ones that were revoked or rotated since: \
         bursar key list --db {path}"
    ));
}

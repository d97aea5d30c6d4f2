//! `bursar restore`: a database file replaced by a verified copy of a backup.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{LostRecords, RestoreReport, restore_file};
use clap::Args;

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, access, check_exists};
use super::progress::progress;
use super::style;
use crate::http::{BackupBody, render};

/// Replace a database file by a verified copy of a backup. No server may use the file.
///
/// An existing file is kept in the same folder, with its write-ahead log, as FILE.replaced-1 and so on. It does not
/// change until the copy is verified.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The backup; it is not changed
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The database file to create or replace
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Verify faster: apply each record of the copy, without deciding it again
    #[arg(long)]
    quick: bool,
}

impl Restore {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.backup)?;
        for file in [&self.backup, &self.to] {
            match access(file)? {
                // The restore itself takes the locks while it works.
                FileAccess::Free(lock) => drop(lock),
                FileAccess::Served(_) => {
                    let path = file.display();
                    return Err(CommandError::new(format!(
                        "{path} is being served: stop the server first, then restore"
                    )));
                }
            }
        }
        let request = BackupBody {
            path: self.to.clone(),
            quick: self.quick,
        };
        let mut progress = progress("verified");
        let report = restore_file(
            &self.backup,
            &self.to,
            request.plan(),
            render,
            &mut progress,
        );
        print(&report.map_err(CommandError::new)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(report: &RestoreReport) {
    let file = &report.file;
    let path = file.path.display();
    let verdict = if file.audited {
        "every promise holds"
    } else {
        "every record fits"
    };
    style::say(format!(
        "{path}: {} bytes, {} records, {verdict}",
        file.bytes, file.records
    ));
    for head in &file.economies {
        style::say(format!(
            "{}:{} record {}",
            head.economy, head.head, head.seq
        ));
    }
    if let Some(replaced) = &report.replaced {
        let replaced = replaced.display();
        style::remark(format!(
            "The previous file was renamed to {replaced}. Remove it when you no longer need it."
        ));
    }
    for LostRecords {
        economy,
        before,
        now,
    } in &report.gone
    {
        style::remark(format!(
            "The economy `{economy}` was at record {before} and is now at record {now}."
        ));
    }
    if report.may_lack_records {
        style::remark(
            "The backup was not closed in order and its write-ahead log is missing: its newest records may be \
             missing.",
        );
    }
    style::remark(format!(
        "{path} no longer has the records that were committed after the backup, nor their idempotency keys: a \
         request of that time that a client repeats is carried out again."
    ));
    style::remark(
        "Consumers of events that have read further receive `position_past_head` or `history_changed`. \
         Webhooks continue at their position in the backup.",
    );
    style::remark(format!(
        "The API keys are those of the backup, including keys that were revoked or rotated since. List them: \
         bursar key list --db {path}"
    ));
}

//! Restoring a file from a backup. A verified copy replaces the file, which is kept next to it together with its
//! write-ahead log.

use std::io;
use std::path::{Path, PathBuf};

use bursar_ledger::EconomyId;

use crate::background::BackgroundPace;
use crate::cancel::Cancel;
use crate::commit::submission::Render;
use crate::file::lock::{FileLock, Tail, canonical};
use crate::file::log_origin;
use crate::file::names::with_suffix;
use crate::log::indexing;
use crate::tools::audit;
use crate::tools::backup::{self, BackupError, BackupPlan, BackupReport};
use crate::tools::partial::{NewFileError, Partial, sync_folder};

/// The suffix of a replaced file, before its number.
const REPLACED: &str = ".replaced";

/// The maximum number of replaced files next to one file.
pub(crate) const REPLACED_MAX: u32 = 1_000;

/// The result of a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreReport {
    /// The restored file.
    pub file: BackupReport,
    /// The new name of the replaced file.
    pub replaced: Option<PathBuf>,
    /// The records that only the replaced file has.
    pub gone: Vec<LostRecords>,
    /// True if the backup was not closed properly and has no log next to it, so that its newest records may be
    /// missing.
    pub may_lack_records: bool,
}

/// Records of an economy that only the replaced file has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostRecords {
    /// The name of the economy.
    pub economy: EconomyId,
    /// The number of its newest record in the replaced file, or 0 if that file did not have the economy.
    pub before: u64,
    /// The number of its newest record in the backup, or 0 if the backup does not have the economy.
    pub now: u64,
}

/// Replaces a file with a verified copy of a backup. No process may have either file open. The file is unchanged
/// if anything fails.
pub fn restore_file(
    backup: &Path,
    to: &Path,
    plan: BackupPlan,
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<RestoreReport, BackupError> {
    let backup = canonical(backup);
    let to = canonical(to);
    if backup == to {
        return Err(BackupError::Itself(to));
    }
    let backup_lock = FileLock::acquire(&backup)?;
    let tail = backup_lock.check_log()?;
    // A log of another file does not prevent the restore. It is moved away with the replaced file.
    let lock = FileLock::acquire(&to)?;
    let is_there = to.exists();
    let before = if is_there && lock.check_log().is_ok() {
        audit::load(&to).ok()
    } else {
        None
    };
    let partial = Partial::make_again(&to)
        .map_err(|source| NewFileError::of_file(&Partial::path_of(&to), source))?;
    let source = backup::Source {
        path: &backup,
        published: &audit::load(&backup)?,
        cancel: &Cancel::new(),
        render,
        pace: BackgroundPace::unhindered(),
    };
    let file = source.fill(&partial, plan, progress)?;
    let kept = is_there.then(|| keep(&to)).transpose();
    let failed = |source| NewFileError::of_file(&to, source);
    let kept = kept.map_err(failed)?;
    put(partial, &to).map_err(failed)?;
    let gone = before.map(|before| gone(&audit::heads_of(&before), &file));
    Ok(RestoreReport {
        file: BackupReport { path: to, ..file },
        replaced: kept,
        gone: gone.unwrap_or_default(),
        may_lack_records: tail == Tail::MayBeMissing,
    })
}

/// Gives the file and its log a second name each. A file with two names cannot be opened, until the copy takes
/// over the first name.
fn keep(file: &Path) -> io::Result<PathBuf> {
    for number in 1..=REPLACED_MAX {
        let kept = with_suffix(file, &format!("{REPLACED}-{number}"));
        let log = log_origin::path_of(file);
        let kept_log = log_origin::path_of(&kept);
        if kept.symlink_metadata().is_ok() || kept_log.symlink_metadata().is_ok() {
            continue;
        }
        let linked = std::fs::hard_link(file, &kept);
        let linked = linked.and_then(|()| match std::fs::hard_link(&log, &kept_log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            linked => linked,
        });
        if let Err(error) = linked {
            drop(std::fs::remove_file(&kept));
            return Err(error);
        }
        sync_folder(file)?;
        return Ok(kept);
    }
    Err(io::Error::other(format!(
        "there are already {REPLACED_MAX} replaced files next to it; remove some"
    )))
}

/// Moves a copy into place. A start between the two steps finds the log of another file and rejects it, and discards the
/// index of another file.
fn put(partial: Partial, to: &Path) -> io::Result<()> {
    partial.replace(to)?;
    for companion in [log_origin::path_of(to), log_origin::index_of(to)] {
        match std::fs::remove_file(companion) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    match std::fs::remove_dir_all(indexing::folder_of(to)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_folder(to)
}

/// Returns the records that one file has and the other lacks.
fn gone(before: &[audit::EconomyHead], now: &BackupReport) -> Vec<LostRecords> {
    let mut gone = Vec::new();
    for head in before {
        let same = |other: &&audit::EconomyHead| other.economy == head.economy;
        let now = now.economies.iter().find(same);
        if now.is_none_or(|now| now.head != head.head) {
            gone.push(LostRecords {
                economy: head.economy.clone(),
                before: head.seq,
                now: now.map_or(0, |now| now.seq),
            });
        }
    }
    gone
}

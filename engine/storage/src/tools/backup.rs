//! Backups: a copy of one moment of a file that may be in use, verified before it gets its name.
//!
//! `VACUUM INTO` on a read-only connection makes the copy. While it runs, the write-ahead log cannot restart
//! and grows with each commit (<https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files>). Beyond
//! a limit the backup is aborted, so that a slow disk for backups never fills the disk of the database.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use serde::Serialize;

use crate::cancel::Cancel;
use crate::checkpoint;
use crate::commit::submission::Render;
use crate::database::{Database, text};
use crate::error::{PRIMARY_CODE, SQLITE_FULL, StorageError};
use crate::file::header::STAMP_AT;
use crate::file::lock::canonical;
use crate::file::stamp::Stamp;
use crate::index::Index;
use crate::log::indexing;
use crate::log::reader::{each_frame, head_at};
use crate::schema;
use crate::state::State;
use crate::tools::audit::{self, AuditInput, EconomyHead, Watch};
use crate::tools::partial::Partial;
use crate::wal::{Ended, Wal};

/// The maximum size of the write-ahead log in bytes during a backup.
pub const BACKUP_WAL_BYTES_MAX: u64 = 1 << 30;

/// The options of a backup.
#[derive(Clone, Copy, Debug)]
pub struct BackupPlan {
    /// True to repeat the decision of each record as well, and not only apply and compare it.
    pub audit: bool,
    /// The maximum size of the write-ahead log in bytes meanwhile, by default [`BACKUP_WAL_BYTES_MAX`].
    pub wal_bytes_max: u64,
}

/// A verified backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BackupReport {
    /// The path of the copy.
    pub path: PathBuf,
    /// The size of the copy in bytes.
    pub bytes: u64,
    /// The number of its records.
    pub records: u64,
    /// True if the decision of each record was repeated.
    pub audited: bool,
    /// The economies, each with the hash that covers all its records.
    pub economies: Vec<EconomyHead>,
}

/// An error of a backup. A failed backup leaves no file behind and the database unchanged.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists.
    #[error("{0} exists already and a backup overwrites nothing: name another path, or remove it")]
    Exists(PathBuf),
    /// The backup to restore is the database file itself.
    #[error("{0} is the database file itself; name a backup of it")]
    Itself(PathBuf),
    /// The target path is not UTF-8.
    #[error("the path of a backup must be UTF-8")]
    Path,
    /// The disk is full.
    #[error("the disk is full at {0}; free some space, or name a path on another disk")]
    NoRoom(PathBuf),
    /// The write-ahead log exceeded its limit.
    #[error(
        "the backup was aborted because the write-ahead log grew to {wal_bytes} bytes, and the limit is \
         {wal_bytes_max}. Try again at a quieter time, or with a faster disk"
    )]
    Behind {
        /// The size of the log in bytes.
        wal_bytes: u64,
        /// The limit in bytes.
        wal_bytes_max: u64,
    },
    /// The copy differs from the file.
    #[error("the copy differs from the file and was removed: {0}; run `bursar audit` on the file")]
    Unsound(String),
    /// The copy could not be written.
    #[error("{path}: {source}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file or its copy could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The source of a backup, and the state that the copy is compared with.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    /// The state that was published before the copy began. The copy contains all of it.
    pub(crate) published: &'a State,
    /// Cancels the copy when the file is closed.
    pub(crate) cancel: &'a Cancel,
    pub(crate) render: Render,
}

impl Source<'_> {
    /// Copies the file to an unused path and verifies the copy.
    pub(crate) fn back_up(
        &self,
        to: &Path,
        plan: BackupPlan,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let to = canonical(to);
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to));
        }
        let partial = Partial::make(&to);
        let partial = partial.map_err(|source| file_error(&Partial::path_of(&to), source))?;
        let report = self.fill(&partial, plan, progress)?;
        partial
            .publish(&to)
            .map_err(|source| file_error(&to, source))?;
        Ok(BackupReport { path: to, ..report })
    }

    /// Fills a partial file and verifies it.
    pub(crate) fn fill(
        &self,
        partial: &Partial,
        plan: BackupPlan,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let path = &partial.path;
        let stamp = self.copy(path, plan.wal_bytes_max)?;
        let failed = |source| file_error(path, source);
        let written = OpenOptions::new().write(true).open(path).map_err(failed)?;
        // SQLite does not have this file open, and its pages have no checksums.
        written
            .write_all_at(&stamp.bytes(), STAMP_AT as u64)
            .map_err(failed)?;
        written.sync_all().map_err(failed)?;
        let bytes = written.metadata().map_err(failed)?.len();
        drop(written);
        let state = self.verify(path, plan.audit, progress)?;
        Ok(BackupReport {
            path: path.clone(),
            bytes,
            records: state.record,
            audited: plan.audit,
            economies: audit::heads_of(&state),
        })
    }

    /// Copies the file and returns the stamp of the copy. The stamp differs from that of the file, so that the
    /// write-ahead log of one is never applied to the other.
    fn copy(&self, partial: &Path, wal_bytes_max: u64) -> Result<Stamp, BackupError> {
        let name = partial.to_str().ok_or(BackupError::Path)?;
        let database = Database::open_reader(self.path)?;
        let stamp = schema::stamp(&database)?.with_open(false);
        let stamp = stamp.with_generation(database.random()?);
        let mut copy = database.prepare("VACUUM INTO ?1")?;
        let log = Wal::of(self.path, wal_bytes_max);
        let (done, is_done) = mpsc::channel::<()>();
        let (copied, grown) = std::thread::scope(|scope| {
            let log = &log;
            let database = &database;
            let watch = scope.spawn(move || log.watch(&is_done, database, self.cancel));
            let copied = copy.run(vec![text(name)]);
            drop(done);
            (copied, watch.join().unwrap_or_default())
        });
        match (copied, grown) {
            (_, Some(Ended::Grown(wal_bytes))) => Err(BackupError::Behind {
                wal_bytes,
                wal_bytes_max,
            }),
            (_, Some(Ended::Cancelled)) => Err(StorageError::Cancelled.into()),
            (Err(error), None) => Err(told(error, partial)),
            (Ok(()), None) => Ok(stamp),
        }
    }

    /// Reads the copy from the first record and compares its heads with those of the file.
    fn verify(
        &self,
        copy: &Path,
        audit: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<State, BackupError> {
        let database = Database::open_reader(copy)?;
        schema::check(&database)?;
        let state = checkpoint::load(&database).map_err(unsound)?;
        let state = state.0;
        if audit {
            let index = TemporaryIndex::of(copy)?;
            let against = AuditInput {
                state: Some(&state),
                heads: &[],
                index: Some(&index.index),
            };
            let cancel = Cancel::new();
            let watch = Watch::alone(&cancel);
            let report = audit::audit(copy, &against, &watch, self.render, progress)?;
            let findings = report.promises.iter().flat_map(|promise| &promise.findings);
            if let Some(finding) = findings.into_iter().next() {
                return Err(BackupError::Unsound(finding.clone()));
            }
        } else if replayed(&database, state.record, progress).map_err(unsound)? != state {
            return Err(BackupError::Unsound(
                "its checkpoint does not match its log".into(),
            ));
        }
        let original = Database::open_reader(self.path)?;
        for (file, state) in [(&original, &state), (&database, self.published)] {
            let head = head_at(file, state.record)?;
            if state.record > 0 && head != Some(state.log_head) {
                let what = format!("record {} differs", state.record);
                return Err(BackupError::Unsound(what));
            }
        }
        Ok(state)
    }
}

/// An index of a copy, which is removed after the audit. A start on the copy makes its own.
struct TemporaryIndex {
    index: Arc<Index>,
    folder: PathBuf,
}

impl TemporaryIndex {
    fn of(copy: &Path) -> Result<Self, BackupError> {
        let index = indexing::open_whole(copy).map_err(unsound)?;
        let folder = indexing::folder_of(copy);
        Ok(Self { index, folder })
    }
}

impl Drop for TemporaryIndex {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "the index of the copy could not be removed; remove it");
        }
    }
}

/// Rebuilds the state from the records alone.
fn replayed(
    database: &Database,
    last: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<State, StorageError> {
    let mut state = State::default();
    each_frame(database, 0, |frame| {
        state.replay_frame(&frame)?;
        progress(state.record, last);
        Ok(true)
    })?;
    Ok(state)
}

fn unsound(error: StorageError) -> BackupError {
    match error {
        StorageError::Damaged { .. } => BackupError::Unsound(error.to_string()),
        other => other.into(),
    }
}

/// Classifies an error of SQLite while it writes the copy.
fn told(error: StorageError, partial: &Path) -> BackupError {
    match error {
        StorageError::Database(libsql::Error::SqliteFailure(code, _))
            if code & PRIMARY_CODE == SQLITE_FULL =>
        {
            BackupError::NoRoom(partial.to_owned())
        }
        other => other.into(),
    }
}

pub(crate) fn file_error(path: &Path, source: io::Error) -> BackupError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BackupError::NoRoom(path.to_owned())
        }
        _ => BackupError::File {
            path: path.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_such() {
        let path = Path::new("/backups/guild.db.partial");
        let full = libsql::Error::SqliteFailure(SQLITE_FULL, "database or disk is full".into());
        let from_sqlite = told(full.into(), path);
        let from_system = file_error(path, io::ErrorKind::StorageFull.into());
        for error in [from_sqlite, from_system] {
            assert!(
                matches!(&error, BackupError::NoRoom(at) if at == path),
                "{error:?}"
            );
            assert!(error.to_string().contains("free some"), "{error}");
        }
    }
}

//! Backups: a copy of one moment of a file that may be in use, verified before it gets its name.
//!
//! During the last part of the copy the write-ahead log cannot restart and grows with each commit
//! (<https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files>). Beyond a limit the backup is aborted, so that
//! a slow disk for backups never fills the disk of the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::background::BackgroundPace;
use crate::cancel::Cancel;
use crate::checkpoint;
use crate::commit::submission::Render;
use crate::database::Database;
use crate::error::StorageError;
use crate::index::Index;
use crate::log::indexing;
use crate::log::reader::{each_frame, head_at};
use crate::schema;
use crate::state::State;
use crate::tools::audit::{self, AuditInput, EconomyHead, Watch};
use crate::tools::copy::{CopyError, CopySource};
use crate::tools::partial::{self, NewFileError, Partial};

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
    /// The backup to restore is the database file itself.
    #[error("{0} is the database file itself; name a backup of it")]
    Itself(PathBuf),
    /// The target path is not UTF-8.
    #[error("the path of a backup must be UTF-8")]
    Path,
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
    /// The copy could not be written, or the file could not be read.
    #[error(transparent)]
    NewFile(#[from] NewFileError),
}

impl From<StorageError> for BackupError {
    fn from(error: StorageError) -> Self {
        Self::NewFile(error.into())
    }
}

/// The source of a backup, and the state that the copy is compared with.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    /// The state that was published before the copy began. The copy contains all of it.
    pub(crate) published: &'a State,
    /// Cancels the backup when the file is closed.
    pub(crate) cancel: &'a Cancel,
    pub(crate) render: Render,
    /// The pauses of the copy and its verification.
    pub(crate) pace: BackgroundPace<'a>,
}

impl Source<'_> {
    /// Copies the file to an unused path and verifies the copy.
    pub(crate) fn back_up(
        &self,
        to: &Path,
        plan: BackupPlan,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let (path, report) = partial::make(to, |partial| self.fill(partial, plan, progress))?;
        Ok(BackupReport { path, ..report })
    }

    /// Fills a partial file and verifies it.
    pub(crate) fn fill(
        &self,
        partial: &Partial,
        plan: BackupPlan,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let source = CopySource {
            path: self.path,
            published: self.published.record,
            wal_bytes_max: plan.wal_bytes_max,
            cancel: self.cancel,
            pace: &self.pace,
        };
        source.copy(&partial.path).map_err(|error| match error {
            CopyError::Path => BackupError::Path,
            CopyError::Behind { wal_bytes } => BackupError::Behind {
                wal_bytes,
                wal_bytes_max: plan.wal_bytes_max,
            },
            CopyError::NewFile(error) => error.into(),
        })?;
        let bytes = partial.sync()?;
        let state = self.verify(&partial.path, plan.audit, progress)?;
        Ok(BackupReport {
            path: partial.path.clone(),
            bytes,
            records: state.record,
            audited: plan.audit,
            economies: audit::heads_of(&state),
        })
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
            let watch = Watch {
                pace: self.pace.clone(),
                ..Watch::alone(self.cancel)
            };
            let report = audit::audit(copy, &against, &watch, self.render, progress)?;
            let findings = report.promises.iter().flat_map(|promise| &promise.findings);
            if let Some(finding) = findings.into_iter().next() {
                return Err(BackupError::Unsound(finding.clone()));
            }
        } else if self.replayed(&database, state.record, progress)? != state {
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

    /// Rebuilds the state from the records alone.
    fn replayed(
        &self,
        database: &Database,
        last: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<State, BackupError> {
        let mut state = State::default();
        let read = each_frame(database, 0, |frame| {
            state.replay_frame(&frame)?;
            progress(state.record, last);
            self.pace.step();
            self.cancel.check()?;
            Ok(true)
        });
        read.map_err(unsound)?;
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

fn unsound(error: StorageError) -> BackupError {
    match error {
        StorageError::Damaged { .. } => BackupError::Unsound(error.to_string()),
        other => other.into(),
    }
}

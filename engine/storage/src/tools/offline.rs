//! Work on files that no process has open. Each function holds the lock of the file while it works, so that no
//! process opens it meanwhile.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use bursar_ledger::EconomyId;

use crate::cancel::Cancel;
use crate::commit::maintenance::leave_checkpoint;
use crate::commit::submission::Render;
use crate::error::StorageError;
use crate::file::lock::{FileLock, Tail, canonical};
use crate::journal::{FileJournal, Journal};
use crate::query::reader::Readers;
use crate::record::StoredAnswer;
use crate::request::IdempotencyKey;
use crate::state::State;
use crate::time::clock::TimeSource;
use crate::time::timekeeping::{self, ClockReport, ClockSetting};
use crate::tools::archive::{self, ArchiveError, ImportContext, ImportReport};
use crate::tools::audit::{self, AuditReport, SeenHead};
use crate::tools::backup::{self, BackupError, BackupPlan, BackupReport};

/// A warning about a file whose newest records may be missing.
const MISSING_LOG: &str = "the file was not closed properly and has no write-ahead log next to it: if it was \
     copied without, or the log was removed, its newest records are missing. `bursar backup` makes copies \
     that are whole";

/// Audits a file that no process has open: checks every promise against every record and looks for the given
/// heads.
pub fn audit_file(
    path: &Path,
    heads: &[SeenHead],
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, StorageError> {
    let (path, _lock, tail) = locked(path)?;
    let mut report = audit::audit_whole(&path, heads, render, progress)?;
    if tail == Tail::MayBeMissing {
        report.caveats.push(MISSING_LOG.into());
    }
    Ok(report)
}

/// Loads the state of a locked file without changing the file.
pub fn load_file(lock: &FileLock) -> Result<State, StorageError> {
    lock.check_log()?;
    audit::load(lock.database())
}

/// A read-only view of a file that no process has open. The file stays locked while this value lives.
pub struct OfflineFile {
    state: State,
    readers: Readers,
    _lock: FileLock,
}

impl OfflineFile {
    /// Opens an existing file.
    pub fn open(lock: FileLock) -> Result<Self, StorageError> {
        Ok(Self {
            state: load_file(&lock)?,
            readers: Readers::open(lock.database(), 1)?,
            _lock: lock,
        })
    }

    /// Returns the state of the file.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the committed answer of an idempotency key.
    pub fn stored(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        self.readers.stored(economy, key.as_str())
    }
}

/// Copies a file that no process has open to an unused path, and verifies the copy.
pub fn back_up_file(
    path: &Path,
    to: &Path,
    plan: BackupPlan,
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupReport, BackupError> {
    let (path, _lock) = there(path)?;
    let source = backup::Source {
        path: &path,
        published: &audit::load(&path)?,
        cancel: &Cancel::new(),
        render,
    };
    source.back_up(to, plan, progress)
}

/// Exports an economy's journal from a file that no process has open.
pub fn export_file(
    path: &Path,
    economy: &EconomyId,
    take: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let (path, _lock) = there(path)?;
    archive::export(&path, &audit::load(&path)?, economy, take, progress)
}

/// Imports an economy's journal into a file that no process has open, and creates the file if it does not
/// exist. Imports all of the journal or, on an error, nothing.
pub fn import_file(
    path: &Path,
    importing: &ImportContext,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ImportReport, ArchiveError> {
    let path = canonical(path);
    let lock = FileLock::acquire(&path)?;
    lock.check_log()?;
    let is_new = !path.exists();
    let imported = FileJournal::prepare(&path).map_err(ArchiveError::from);
    let imported = imported.and_then(|mut journal| {
        let report = archive::import(&mut journal, importing, input, progress)?;
        close(journal);
        Ok(report)
    });
    if imported.is_err() && is_new {
        // Closing the journal has deleted its companions. Only an empty database is left.
        drop(std::fs::remove_file(&path));
    }
    imported
}

/// Compares the clock of a file that no process has open with the clock of the machine.
pub fn clock_of_file(path: &Path, time: &TimeSource) -> Result<ClockReport, StorageError> {
    let (path, _lock) = there(path)?;
    let (state, mark) = audit::load_with_mark(&path)?;
    Ok(timekeeping::report(mark, &state, time))
}

/// Sets the clock of a file that no process has open to the clock of the machine. Each economy with a pending
/// deadline gets a record of the change; all records are one transaction.
pub fn set_clock_of_file(
    path: &Path,
    time: &TimeSource,
    render: Render,
) -> Result<ClockSetting, StorageError> {
    let (path, _lock) = there(path)?;
    let mut journal = FileJournal::prepare(&path)?;
    let state = journal.load()?;
    let (state, setting) = timekeeping::set(&mut journal, state, time, render)?;
    if setting.set {
        leave_checkpoint(&mut journal, &state);
    }
    close(journal);
    Ok(setting)
}

/// Closes a file. Its commits stand even if that fails.
fn close(journal: FileJournal) {
    if let Err(error) = journal.close() {
        tracing::warn!(%error, "the write-ahead log remains next to the file");
    }
}

/// Returns the canonical path of an existing file, and its lock.
pub(crate) fn there(path: &Path) -> Result<(PathBuf, FileLock), StorageError> {
    locked(path).map(|(path, lock, _)| (path, lock))
}

/// Returns the canonical path of an existing file, its lock, and the state of its newest records.
fn locked(path: &Path) -> Result<(PathBuf, FileLock, Tail), StorageError> {
    if !path.exists() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(StorageError::File {
            path: path.to_owned(),
            source,
        });
    }
    let path = canonical(path);
    let lock = FileLock::acquire(&path)?;
    let tail = lock.check_log()?;
    Ok((path, lock, tail))
}

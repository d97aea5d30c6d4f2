//! Work on files that no process has open. Each function holds the lock of the file while it works, so that no
//! process opens it meanwhile.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use bursar_ledger::EconomyId;

use crate::background::BackgroundPace;
use crate::cancel::Cancel;
use crate::commit::maintenance::leave_checkpoint;
use crate::commit::submission::Render;
use crate::error::StorageError;
use crate::file::lock::{FileLock, Tail, canonical};
use crate::index::IndexConfig;
use crate::log::file::FileLog;
use crate::log::indexing;
use crate::log::store::Log;
use crate::query::reader::Readers;
use crate::record::StoredAnswer;
use crate::request::IdempotencyKey;
use crate::state::State;
use crate::time::clock::TimeSource;
use crate::time::timekeeping::{self, ClockReport, ClockSetting};
use crate::tools::archive::{self, ArchiveError, ImportContext, ImportReport};
use crate::tools::audit::{self, AuditReport, SeenHead};
use crate::tools::backup::{self, BackupError, BackupPlan, BackupReport};
use crate::tools::listing::{self, ListedRecord, ListingError, Selection};
use crate::tools::partial::NewFileError;
use crate::tools::tables::{self, TablesReport};

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
            readers: Readers::open(lock.database(), 1, indexing::open_whole(lock.database())?)?,
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
        self.readers.stored(&self.state, economy, key.as_str())
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
        pace: BackgroundPace::unhindered(),
    };
    source.back_up(to, plan, progress)
}

/// Exports an economy's log from a file that no process has open.
pub fn export_file(
    path: &Path,
    economy: &EconomyId,
    take: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let (path, _lock) = there(path)?;
    let pace = BackgroundPace::unhindered();
    archive::export(&path, &audit::load(&path)?, economy, &pace, take, progress)
}

/// Passes selected records of a file that no process has open to `take`, oldest first, until `take` fails. If a record
/// is damaged, the records before it are passed first, and then the error is returned.
pub fn list_file(
    path: &Path,
    selection: &Selection,
    take: &mut dyn FnMut(ListedRecord) -> io::Result<()>,
) -> Result<(), ListingError> {
    let (path, _lock) = there(path)?;
    listing::list(&path, selection, take)
}

/// Copies a file that no process has open as plain tables of SQLite to an unused path.
pub fn write_tables_of_file(
    path: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<TablesReport, NewFileError> {
    let (path, _lock) = there(path)?;
    tables::write(&path, to, progress)
}

/// Imports an economy's log into a file that no process has open, and creates the file if it does not
/// exist. Imports all of the log or, on an error, nothing.
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
    let imported = FileLog::prepare(&path, IndexConfig::default()).map_err(ArchiveError::from);
    let imported = imported.and_then(|mut log| {
        let report = archive::import(&mut log, importing, input, progress)?;
        close(log);
        Ok(report)
    });
    if imported.is_err() && is_new {
        // Closing the log has deleted the files of SQLite next to it. Only an empty database and its index are left.
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_dir_all(indexing::folder_of(&path)));
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
    let mut log = FileLog::prepare(&path, IndexConfig::default())?;
    let state = log.load()?;
    let (state, setting) = timekeeping::set(&mut log, state, time, render)?;
    if setting.set {
        leave_checkpoint(&mut log, &state);
    }
    close(log);
    Ok(setting)
}

/// Closes a file. Its commits stand even if that fails.
fn close(log: FileLog) {
    if let Err(error) = log.close() {
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

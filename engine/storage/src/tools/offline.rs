//! What is done with a file that no process has open: each takes the lock of the file for as long as it
//! works, so that nobody opens it meanwhile.

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

/// Said of a file of which the end may be missing.
const MISSING_LOG: &str = "the file was not closed in order and has no write-ahead log beside it: if it was \
     copied without, or the log was removed, its newest records are missing. `bursar backup` makes copies \
     that are whole";

/// Checks every promise against every record of a file that no process has open, and looks for the
/// heads that somebody has seen before.
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

/// The state of a file whose lock is held, to look at; nothing of it changes.
pub fn load_file(lock: &FileLock) -> Result<State, StorageError> {
    lock.check_log()?;
    audit::load(lock.database())
}

/// A file that no process has open, to look at. It stays locked for as long as this lives, and nothing of it
/// changes.
pub struct OfflineFile {
    state: State,
    readers: Readers,
    _lock: FileLock,
}

impl OfflineFile {
    /// Opens a file that must be there.
    pub fn open(lock: FileLock) -> Result<Self, StorageError> {
        Ok(Self {
            state: load_file(&lock)?,
            readers: Readers::open(lock.database(), 1)?,
            _lock: lock,
        })
    }

    /// The state that the file is in.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The committed answer to a key.
    pub fn stored(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        self.readers.stored(economy, key.as_str())
    }
}

/// Makes a copy of a file that no process has open, at a path where nothing is.
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

/// Writes an economy's journal out of a file that no process has open.
pub fn export_file(
    path: &Path,
    economy: &EconomyId,
    take: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let (path, _lock) = there(path)?;
    archive::export(&path, &audit::load(&path)?, economy, take, progress)
}

/// Reads an economy's journal into a file that no process has open; the file is made if it is not
/// there. Either all of it is there afterwards, or nothing is.
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
        // Closing the journal has taken its companions away; what is left is an empty database.
        drop(std::fs::remove_file(&path));
    }
    imported
}

/// Says what time a file goes by that no process has open, beside that of the machine.
pub fn clock_of_file(path: &Path, time: &TimeSource) -> Result<ClockReport, StorageError> {
    let (path, _lock) = there(path)?;
    let (state, mark) = audit::load_with_mark(&path)?;
    Ok(timekeeping::report(mark, &state, time))
}

/// Has a file that no process has open go by the time of the machine from now on. Each economy in which
/// something waits for a moment has a record of it, all of them in one txn.
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

/// Closes a file in order. What is committed is committed, whatever becomes of that.
fn close(journal: FileJournal) {
    if let Err(error) = journal.close() {
        tracing::warn!(%error, "the write-ahead log stays beside the file");
    }
}

/// The one path of a file that must be there, and its lock.
pub(crate) fn there(path: &Path) -> Result<(PathBuf, FileLock), StorageError> {
    locked(path).map(|(path, lock, _)| (path, lock))
}

/// The same, with what is known of the end of the file.
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

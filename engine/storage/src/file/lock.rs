//! The lock file, which gives one process the file and holds the address of that process.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StorageError;
use crate::file::header;
use crate::file::log_origin::{self, LogBeside};
use crate::file::names::with_suffix;
use crate::file::owner::Owner;

/// The longest wait for a process that holds the lock without having announced an address.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time between two attempts to take the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// The maximum length of a chain of symbolic links, which is the limit of Linux as well.
pub(crate) const LINKS_MAX: usize = 40;

/// The identity of the file at a path. It is read without opening the file, because closing any handle on the
/// file drops all POSIX locks of this process on it (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Returns the identity of the file that is at a path now.
    pub(crate) fn of(path: &Path) -> Result<Self, StorageError> {
        let found = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => StorageError::Gone { path: path.into() },
            _ => StorageError::File {
                path: path.into(),
                source,
            },
        })?;
        Ok(Self {
            path: path.into(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Checks that the file is still at its path.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if Self::of(&self.path)? == *self {
            return Ok(());
        }
        Err(StorageError::Gone {
            path: self.path.clone(),
        })
    }
}

/// The lock of a file, which gives the right to open it. The operating system releases it when the process ends in
/// any way. A lock file that remains then means nothing by itself.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    database: PathBuf,
}

/// The state of a file's newest records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// All records are present.
    Whole,
    /// The file was not closed properly, and a write-ahead log that is missing may have held them.
    MayBeMissing,
}

impl FileLock {
    /// Takes the lock of a database file, or names its owner. Rejects a path that holds anything other than a
    /// Bursar database, without changing it, and a path where none can be created. No lock file remains then.
    pub fn acquire(database: &Path) -> Result<Self, StorageError> {
        Self::acquire_within(database, PATIENCE)
    }

    /// Takes the lock as [`FileLock::acquire`] does, with a given wait for an owner without an address.
    pub(crate) fn acquire_within(
        database: &Path,
        patience: Duration,
    ) -> Result<Self, StorageError> {
        let database = canonical(database);
        let path = beside(&database, "lock");
        let failed = |source| StorageError::File {
            path: path.clone(),
            source,
        };
        // A file that this process serves must not be opened here. Such a file has a lock file.
        if !path.exists() {
            header::read(&database)?;
        }
        let mut file = open_lock(&path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                // The previous owner has deleted this lock file, and another process may hold a new one.
                Ok(()) if !is_at(&file, &path) => {
                    file = open_lock(&path)?;
                    continue;
                }
                Ok(()) => {
                    file.set_len(0).map_err(failed)?;
                    let lock = Self {
                        file,
                        path,
                        database,
                    };
                    header::read(&lock.database)?;
                    has_one_name(&lock.database)?;
                    return Ok(lock);
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let owner = read_note(&mut file).map_err(failed)?;
            // An owner that has announced no address is opening or closing the file.
            if owner.is_some() || began.elapsed() > patience {
                return Err(StorageError::Busy {
                    path: database,
                    pid: owner.as_ref().map_or(0, |owner| owner.pid),
                    owner: owner.map(Box::new),
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Checks that the write-ahead log next to the file belongs to it, before SQLite applies it.
    pub(crate) fn check_log(&self) -> Result<Tail, StorageError> {
        let Some(header) = header::read(&self.database)? else {
            return Ok(Tail::Whole);
        };
        let beside = log_origin::check(&self.database, header)?;
        if header.stamp.is_open() && beside == LogBeside::Absent {
            return Ok(Tail::MayBeMissing);
        }
        Ok(Tail::Whole)
    }

    /// Returns the path of the locked file.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// Writes the address of the owner.
    pub fn announce(&mut self, owner: &Owner) -> Result<(), StorageError> {
        let failed = |source| StorageError::File {
            path: self.path.clone(),
            source,
        };
        let note = serde_json::to_vec(owner).unwrap_or_default();
        self.file.set_len(0).map_err(failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.file.write_all(&note).map_err(failed)?;
        self.file.sync_all().map_err(failed)
    }
}

/// Opens or creates a lock file.
fn open_lock(path: &Path) -> Result<File, StorageError> {
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path);
    opened.map_err(|source| StorageError::ClosedFolder {
        folder: path.parent().unwrap_or(Path::new("/")).to_owned(),
        source,
    })
}

/// Returns true if an open file is the one at a path.
fn is_at(file: &File, path: &Path) -> bool {
    let ids = |found: Metadata| (found.dev(), found.ino());
    let opened = file.metadata().map(ids);
    let there = path.metadata().map(ids);
    matches!((opened, there), (Ok(opened), Ok(there)) if opened == there)
}

/// Rejects a file with several hard links, because each name would have its own lock and its own write-ahead log.
///
/// A lock on the database file itself would be shared by all names, but does not help: closing another handle
/// to the file drops the POSIX locks of SQLite in this process, and some network file systems do not separate
/// POSIX locks from `flock` locks.
fn has_one_name(database: &Path) -> Result<(), StorageError> {
    match database.metadata().map(|found| found.nlink()) {
        Ok(names) if names > 1 => Err(StorageError::Linked {
            path: database.to_owned(),
            names,
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn read_note(file: &mut File) -> std::io::Result<Option<Owner>> {
    let mut note = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut note)?;
    Ok(serde_json::from_str(&note).ok())
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // SQLite leaves an empty log and its index behind where no one could write.
        let log = log_origin::path_of(&self.database);
        if log.metadata().is_ok_and(|log| log.len() == 0) {
            drop(std::fs::remove_file(&log));
            drop(std::fs::remove_file(log_origin::index_of(&self.database)));
        }
        // An address that outlives its owner would mislead. A process that waits for this lock opens the new
        // lock file.
        drop(self.file.set_len(0));
        drop(std::fs::remove_file(&self.path));
    }
}

/// Returns the path of a companion file such as `guild.db.lock`, which does not depend on the path by which the
/// database is named.
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    with_suffix(&canonical(database), &format!(".{suffix}"))
}

/// Returns the absolute path of a file that may not exist yet, with all symbolic links resolved, so that two
/// spellings of one path cannot take two locks.
pub fn canonical(file: &Path) -> PathBuf {
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for _ in 0..LINKS_MAX {
        if let Ok(canonical) = path.canonicalize() {
            return canonical;
        }
        let Some((folder, name)) = path.parent().zip(path.file_name()) else {
            return path;
        };
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        path = folder.join(name);
        // The link points to a file that does not exist yet. The file is created there.
        match path.read_link() {
            Ok(target) => path = folder.join(target),
            Err(_) => return path,
        }
    }
    path
}

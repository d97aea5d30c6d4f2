//! A file that is being written. It has a temporary name until it is complete and on the disk, and is deleted if it never
//! is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{PRIMARY_CODE, SQLITE_FULL, StorageError};
use crate::file::lock::canonical;
use crate::file::names::with_suffix;

/// The suffix of the temporary name.
const PARTIAL: &str = ".partial";

/// The suffixes of the files that SQLite creates beside a file while it writes to it.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// An error of a new file. Nothing of the file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    /// The path is taken.
    #[error("{0} exists already and is not overwritten: name another path, or remove it")]
    Exists(PathBuf),
    /// The disk is full.
    #[error("the disk is full at {0}; free some space, or name a path on another disk")]
    NoRoom(PathBuf),
    /// The file could not be written.
    #[error("{path}: {source}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file that the new one is made of could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl NewFileError {
    /// Classifies an error of the operating system.
    pub(crate) fn of_file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom(path.to_owned())
            }
            _ => Self::File {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Classifies an error of SQLite while it writes the file.
    pub(crate) fn of_sqlite(path: &Path, error: StorageError) -> Self {
        match error {
            StorageError::Database(libsql::Error::SqliteFailure(code, _))
                if code & PRIMARY_CODE == SQLITE_FULL =>
            {
                Self::NoRoom(path.to_owned())
            }
            other => other.into(),
        }
    }
}

/// Makes a file at an unused path: writes it under its temporary name by `fill`, and then gives it its name. Returns the
/// canonical path, and the result of `fill`.
pub(crate) fn make<T, E: From<NewFileError>>(
    to: &Path,
    fill: impl FnOnce(&Partial) -> Result<T, E>,
) -> Result<(PathBuf, T), E> {
    let to = canonical(to);
    if to.symlink_metadata().is_ok() {
        return Err(NewFileError::Exists(to).into());
    }
    let partial = Partial::make(&to)
        .map_err(|source| NewFileError::of_file(&Partial::path_of(&to), source))?;
    let filled = fill(&partial)?;
    let published = partial.publish(&to);
    published.map_err(|source| NewFileError::of_file(&to, source))?;
    Ok((to, filled))
}

/// A file under its temporary name. It is deleted when this is dropped, unless it was published.
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
}

impl Partial {
    /// Creates the file. Only its owner can read it, because it contains requests and seeds unencrypted.
    fn make(to: &Path) -> io::Result<Self> {
        let path = Self::path_of(to);
        let made = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        made.map(|_| Self { path })
    }

    /// Creates the file, and deletes one that a killed process has left under the temporary name. The caller
    /// has to hold the lock of the file.
    pub(crate) fn make_again(to: &Path) -> io::Result<Self> {
        drop(Self {
            path: Self::path_of(to),
        });
        Self::make(to)
    }

    /// Returns the temporary path of a file.
    pub(crate) fn path_of(to: &Path) -> PathBuf {
        with_suffix(to, PARTIAL)
    }

    /// Brings the file to the disk, and returns its length.
    pub(crate) fn sync(&self) -> Result<u64, NewFileError> {
        let synced = File::open(&self.path).and_then(|file| {
            file.sync_all()?;
            Ok(file.metadata()?.len())
        });
        synced.map_err(|source| NewFileError::of_file(&self.path, source))
    }

    /// Gives the file its final name. Fails if a file has that name already.
    pub(crate) fn publish(self, to: &Path) -> io::Result<()> {
        match std::fs::hard_link(&self.path, to) {
            // The temporary name is removed when this value is dropped.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // The file system may not support hard links.
            Err(_) => std::fs::rename(&self.path, to)?,
        }
        drop(self);
        sync_folder(to)
    }

    /// Gives the file its final name and replaces the file that has it, in one step.
    pub(crate) fn replace(self, to: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, to)?;
        sync_folder(to)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename no file has this name, so an error is ignored.
        drop(std::fs::remove_file(&self.path));
        for companion in COMPANIONS {
            drop(std::fs::remove_file(with_suffix(&self.path, companion)));
        }
    }
}

/// Makes sure that the names in a file's folder are on the disk.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_such() {
        let path = Path::new("/backups/guild.db.partial");
        let full = libsql::Error::SqliteFailure(SQLITE_FULL, "database or disk is full".into());
        let from_sqlite = NewFileError::of_sqlite(path, full.into());
        let from_system = NewFileError::of_file(path, io::ErrorKind::StorageFull.into());
        for error in [from_sqlite, from_system] {
            assert!(
                matches!(&error, NewFileError::NoRoom(at) if at == path),
                "{error:?}"
            );
            assert!(error.to_string().contains("free some"), "{error}");
        }
    }
}

//! A file that is being written. It has a temporary name until it is complete, and is deleted if it never is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file::names::with_suffix;

/// The suffix of the temporary name.
const PARTIAL: &str = ".partial";

/// The suffixes of the files that SQLite creates beside a file while it writes to it.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A file under its temporary name. It is deleted when this is dropped, unless it was published.
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
}

impl Partial {
    /// Creates the file. Only its owner can read it, because it contains requests and seeds unencrypted.
    pub(crate) fn make(to: &Path) -> io::Result<Self> {
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
    pub(crate) fn make_anew(to: &Path) -> io::Result<Self> {
        drop(Self {
            path: Self::path_of(to),
        });
        Self::make(to)
    }

    /// Returns the temporary path of a file.
    pub(crate) fn path_of(to: &Path) -> PathBuf {
        with_suffix(to, PARTIAL)
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

//! A file on its way: under a name of its own until it is whole, and gone if it never is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file::names::with_suffix;

/// The suffix of a file that is not complete yet.
const PARTIAL: &str = ".partial";

/// The suffixes of the files that SQLite creates next to a database.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A file without its final name. Dropping the value deletes the file, unless it has got its name.
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
}

impl Partial {
    /// Creates the file with access for its owner only, because it holds requests and seeds as plain text.
    pub(crate) fn make(to: &Path) -> io::Result<Self> {
        let path = Self::path_of(to);
        let made = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        made.map(|_| Self { path })
    }

    /// Takes the name, and removes what a process has left by it that was killed: only whoever has the lock
    /// of the file may.
    pub(crate) fn make_anew(to: &Path) -> io::Result<Self> {
        drop(Self {
            path: Self::path_of(to),
        });
        Self::make(to)
    }

    /// The path of a file that is to be at another one.
    pub(crate) fn path_of(to: &Path) -> PathBuf {
        with_suffix(to, PARTIAL)
    }

    /// Gives the file its name, unless somebody has taken that meanwhile.
    pub(crate) fn publish(self, to: &Path) -> io::Result<()> {
        match std::fs::hard_link(&self.path, to) {
            // The first of the two names goes with this value.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // A file system that knows only one name for a file.
            Err(_) => std::fs::rename(&self.path, to)?,
        }
        drop(self);
        sync_folder(to)
    }

    /// Gives the file its name, in place of what had it: at no moment there is none.
    pub(crate) fn replace(self, to: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, to)?;
        sync_folder(to)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing by this name.
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

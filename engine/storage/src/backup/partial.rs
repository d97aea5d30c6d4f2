//! A copy on its way: under a name of its own until it is verified, and gone if it never is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{BackupError, file_error};

/// What is added to the name of a copy that is not verified yet.
const PARTIAL: &str = ".partial";

/// A copy that has not its name yet. It goes with this value, unless it gets it.
pub(super) struct Partial {
    pub(super) path: PathBuf,
}

impl Partial {
    /// Takes the name, for its owner's eyes only: requests and seeds stand in a copy in the clear.
    pub(super) fn make(to: &Path) -> Result<Self, BackupError> {
        let mut name = to.as_os_str().to_owned();
        name.push(PARTIAL);
        let path = PathBuf::from(name);
        let made = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        match made {
            Ok(_) => Ok(Self { path }),
            Err(source) => Err(file_error(&path, source)),
        }
    }

    /// Gives the copy its name, unless somebody has taken that meanwhile.
    pub(super) fn publish(self, to: &Path) -> Result<(), BackupError> {
        let failed = |source| file_error(to, source);
        match std::fs::hard_link(&self.path, to) {
            // The first of the two names goes with this value.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            // A file system that knows only one name for a file.
            Err(_) => std::fs::rename(&self.path, to).map_err(failed)?,
        }
        let folder = to.parent().unwrap_or(Path::new("/"));
        drop(self);
        let folder = File::open(folder).map_err(failed)?;
        folder.sync_all().map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing by this name.
        drop(std::fs::remove_file(&self.path));
    }
}

//! The folder of the index: the few operations on files that the index needs, and their real implementation.
//!
//! The operations are a trait so that tests can record them, make them fail, and cut the power between them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// The bytes of a file that are written before they are brought to the disk.
const UNSYNCED_BYTES_MAX: u64 = 4 << 20;

/// A folder whose files belong to the index.
pub(crate) trait IndexFolder: Send + Sync {
    /// Creates an empty file for writing and reading, or empties an existing one.
    fn create(&self, name: &str) -> io::Result<Box<dyn IndexFile>>;
    /// Opens a file for reading.
    fn open(&self, name: &str) -> io::Result<Box<dyn IndexFile>>;
    /// Gives a file another name, and replaces the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Open handles stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns the names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes all names durable.
    fn sync(&self) -> io::Result<()>;
}

/// An open file of the index.
pub(crate) trait IndexFile: Send + Sync {
    /// Returns the number of bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills the buffer with the bytes at an offset.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes at an offset.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
pub(crate) struct RealFolder {
    path: PathBuf,
}

impl RealFolder {
    /// Opens a folder, and creates it if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            // Only the owner can read the file, and so its index.
            DirBuilder::new().mode(0o700).create(path)?;
            // The folder's own name is in the folder above it.
            if let Some(parent) = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl IndexFolder for RealFolder {
    fn create(&self, name: &str) -> io::Result<Box<dyn IndexFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(self.path.join(name))?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn IndexFile>> {
        Ok(Box::new(File::open(self.path.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl IndexFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)?;
        // A sync of the whole file at its end would let the syncs of the writer wait behind it.
        let end = offset.saturating_add(bytes.len() as u64);
        if offset / UNSYNCED_BYTES_MAX < end / UNSYNCED_BYTES_MAX {
            self.sync_data()?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

//! Indexes beside a file after a power cut: each may be of any earlier state, or damaged.

use std::path::{Path, PathBuf};

use crate::requests::FILE;

/// The contents of the folder of an index.
#[derive(Clone, Default, Debug)]
pub(crate) struct IndexCopy {
    files: Vec<(String, Vec<u8>)>,
}

/// Returns the folder of an index beside the file of a folder.
pub(crate) fn index_of(folder: &Path) -> PathBuf {
    folder.join(format!("{FILE}-index"))
}

impl IndexCopy {
    /// Copies the index of a file, which may be in use: a run of the copy may be missing or cut off, as after a power
    /// cut.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(index_of(folder)).into_iter().flatten() {
            let entry = entry.expect("an entry");
            if let Ok(bytes) = std::fs::read(entry.path()) {
                files.push((entry.file_name().to_string_lossy().into_owned(), bytes));
            }
        }
        files.sort();
        Self { files }
    }

    /// Returns true if the copy has no files.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Replaces the index beside the file of a folder with this one.
    pub(crate) fn put(&self, folder: &Path) {
        let index = index_of(folder);
        drop(std::fs::remove_dir_all(&index));
        std::fs::create_dir(&index).expect("a folder");
        for (name, bytes) in &self.files {
            std::fs::write(index.join(name), bytes).expect("a file");
        }
    }

    /// Returns a copy with one file damaged: cut off, partly zero, or missing.
    pub(crate) fn damaged(&self, seed: u64) -> Self {
        let mut damaged = self.clone();
        if damaged.files.is_empty() {
            return damaged;
        }
        let file = usize::try_from(seed).unwrap_or_default() % damaged.files.len();
        let bytes = &mut damaged.files[file].1;
        let half = bytes.len() / 2;
        match seed / 7 % 3 {
            0 => bytes.truncate(half),
            1 => bytes[half..].fill(0),
            _ => drop(damaged.files.remove(file)),
        }
        damaged
    }
}

/// Copies of an index from before, during and after a run.
#[derive(Clone, Default)]
pub(crate) struct Indexes {
    /// The copies, each with the number of operations before it.
    pub(crate) copies: Vec<(usize, IndexCopy)>,
    /// The index of the same file after other records followed.
    pub(crate) other: IndexCopy,
}

impl Indexes {
    /// Places one of these indexes beside a file whose power was cut after some operations.
    pub(crate) fn put_some(&self, asked: usize, seed: u64, folder: &Path) -> &'static str {
        let after = self.copies.iter().find(|(at, _)| *at >= asked);
        let before = self.copies.iter().rev().find(|(at, _)| *at <= asked);
        let copy = |found: Option<&(usize, IndexCopy)>| found.map(|(_, copy)| copy.clone());
        let (what, copy) = match seed % 6 {
            0 => ("none", None),
            1 => ("one from before", copy(before)),
            2 => ("one from after", copy(after)),
            3 => ("one from the end", copy(self.copies.last())),
            4 => ("that of other records", Some(self.other.clone())),
            _ => (
                "a damaged one",
                copy(before).map(|copy| copy.damaged(seed / 6)),
            ),
        };
        if let Some(copy) = copy {
            copy.put(folder);
        }
        what
    }
}

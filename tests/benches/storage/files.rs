//! The files of the benchmark. They are made once and copied, so that each measurement begins alike.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::filled::{Fill, fill};
use crate::load::pipeline;
use crate::opening::{close, copy_folder, open};
use crate::options::Options;
use crate::submissions::Guild;

/// The name of each database file, in a folder of its own.
const NAME: &str = "bench.db";

/// The folder of all files, which is removed at the end.
pub(crate) struct Files {
    folder: TempDir,
    guild: Guild,
    transfers: u64,
    sample: u64,
    base: Option<PathBuf>,
    large: Option<Fill>,
}

impl Files {
    /// Creates the folder.
    pub(crate) fn new(options: &Options) -> Self {
        let folder = match &options.folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        Self {
            folder: folder.unwrap(),
            guild: Guild::new(options.accounts),
            transfers: options.transfers,
            sample: options.sample,
            base: None,
            large: None,
        }
    }

    /// Returns the economy of all files.
    pub(crate) fn guild(&self) -> Guild {
        self.guild.clone()
    }

    /// Returns the path of a new file in a new folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder.join(NAME)
    }

    /// Returns the closed file that has accounts with money and no transfers.
    pub(crate) fn base(&mut self) -> PathBuf {
        if self.base.is_none() {
            let path = self.path("base");
            let storage = open(&path);
            pipeline(&storage, self.guild.creation(), drop);
            close(&storage);
            self.base = Some(path);
        }
        self.base.clone().unwrap()
    }

    /// Copies the file that has no transfers to a new folder.
    pub(crate) fn copy(&mut self, name: &str) -> PathBuf {
        let base = self.base();
        let to = self.path(name);
        copy_folder(base.parent().unwrap(), to.parent().unwrap());
        to
    }

    /// Returns the closed file that has many transfers.
    pub(crate) fn large(&mut self) -> &Fill {
        if self.large.is_none() {
            let path = self.copy("large");
            self.large = Some(fill(path, &self.guild, self.transfers, self.sample));
        }
        self.large.as_ref().unwrap()
    }
}

//! The options of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Section {
    /// Single transfers through storage, from 1 to 512 tasks.
    Commit,
    /// Single transfers through HTTP, on 64 connections.
    Http,
    /// Batches of 8,192 transfers through HTTP, on one connection.
    Batches,
    /// A file with many transfers, compared with a new one.
    Large,
    /// The duration of a start, and the memory of an account.
    Start,
    /// Latencies while nothing else happens, and beside audits, backups and checkpoints.
    Beside,
    /// The duration of an audit.
    Audit,
}

/// Measures the commit path of storage.
#[derive(Parser)]
pub(crate) struct Options {
    /// The sections to run; all by default.
    pub(crate) sections: Vec<Section>,
    /// The number of accounts of each file.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) accounts: usize,
    /// The number of transfers of the large file.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) transfers: u64,
    /// The duration of each measurement in seconds.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// The rounds of measurements that take turns.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// The number of batches of each kind.
    #[arg(long, default_value_t = 4)]
    pub(crate) batches: usize,
    /// The number of keys of the large file that are sent again.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sample: u64,
    /// The number of transfers after the last orderly close at which a process is killed.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) unclean: u64,
    /// The number of records after which the writer begins a checkpoint of the state.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) checkpoint: u64,
    /// The wait in seconds before memory is measured. The allocator returns unused memory within ten seconds.
    #[arg(long, default_value_t = 11.0)]
    pub(crate) settle: f64,
    /// The folder of the files; the folder for temporary files by default.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Prints each row as a line of JSON, too.
    #[arg(long)]
    pub(crate) json: bool,
    /// Opens this file, prints the duration and the memory, and closes it.
    #[arg(long, hide = true)]
    pub(crate) open: Option<PathBuf>,
    /// Commits transfers to this file until the process is killed.
    #[arg(long, hide = true)]
    pub(crate) commit_until_killed: Option<PathBuf>,
    /// Has no effect; cargo passes it to each benchmark.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Options {
    /// Returns the duration of each measurement.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Returns true if a section was asked for.
    pub(crate) fn runs(&self, section: Section) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }
}

//! The server that `bursar bench` starts for itself, on a temporary database.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::client::Address;
use crate::commands::child_server::ChildServer;
use crate::commands::error::CommandError;

/// The lines of the server's log that an error repeats.
const LOG_LINES: usize = 5;

/// A folder with a database, and the server of it. Both end when the value is dropped.
pub(super) struct OwnServer {
    // The server ends before its folder is removed, since members are dropped in their order.
    server: Option<ChildServer>,
    folder: TempDir,
    over_unix: bool,
    /// The admin key, which the first start shows.
    pub(super) key: String,
    pub(super) address: Address,
}

impl OwnServer {
    /// Creates a folder below `parent`, or among temporary files, and starts a server on a new file in it.
    pub(super) fn start(parent: Option<&Path>, over_unix: bool) -> Result<Self, CommandError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("bursar-bench-");
        let folder = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let folder = folder.map_err(|error| {
            let place = parent.map_or("the folder for temporary files".into(), |it| {
                it.display().to_string()
            });
            CommandError::new(format!("cannot make a folder in {place}: {error}"))
        })?;
        let mut server = Self {
            server: None,
            folder,
            over_unix,
            key: String::new(),
            address: Address::Tcp(String::new()),
        };
        server.restart()?;
        Ok(server)
    }

    /// Starts the server on the file in its present state.
    pub(super) fn restart(&mut self) -> Result<(), CommandError> {
        let log_path = self.folder.path().join("log");
        let log = File::create(&log_path).map_err(CommandError::new)?;
        let socket = self.folder.path().join("s").display().to_string();
        let arguments: &[&str] = if self.over_unix {
            &["--bench-echo", "--no-tcp", "--socket", &socket]
        } else {
            &["--bench-echo", "--listen", "127.0.0.1:0"]
        };
        let started = ChildServer::start(&self.database(), arguments, log.into());
        let server = started.map_err(|error| {
            let log = std::fs::read_to_string(log_path).unwrap_or_default();
            let begin = log.lines().count().saturating_sub(LOG_LINES);
            let last: Vec<&str> = log.lines().skip(begin).collect();
            CommandError::new(format!("the server to measure did not start: {error}"))
                .with_details(last.join("\n"))
        })?;
        if let Some(key) = &server.key {
            self.key.clone_from(key);
        }
        self.address = server.address.clone();
        self.server = Some(server);
        Ok(())
    }

    /// Stops the server properly, so that its files are complete.
    pub(super) fn stop(&mut self) -> Result<(), CommandError> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        let status = server.stop().map_err(CommandError::new)?;
        if status.success() {
            return Ok(());
        }
        Err(CommandError::new(format!(
            "the measured server did not stop in order: {status}"
        )))
    }

    /// Returns the process of the server.
    pub(super) fn process(&self) -> Option<u32> {
        self.server.as_ref().map(ChildServer::process)
    }

    /// Returns the folder of the database.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the database file.
    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("bench.db")
    }
}

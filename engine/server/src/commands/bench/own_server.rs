//! The server that `bursar bench` starts for itself: this program on a temporary database.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Address;
use crate::commands::error::CommandError;

/// The lines of the server's log that an error repeats.
const LOG_LINES: usize = 5;

/// A folder with a database, and the server of it. Both end when the value is dropped.
pub(super) struct OwnServer {
    child: Option<Child>,
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
            child: None,
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
        let program = std::env::current_exe().map_err(CommandError::new)?;
        let mut command = Command::new(program);
        command.args(["serve", "--bench-echo", "--listen", "127.0.0.1:0", "--db"]);
        command.arg(self.database());
        if self.over_unix {
            command
                .arg("--no-tcp")
                .arg("--socket")
                .arg(self.folder.path().join("s"));
        }
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(CommandError::new)?;
        let output = child.stdout.take();
        self.child = Some(child);
        for line in output
            .into_iter()
            .flat_map(|it| BufReader::new(it).lines())
            .map_while(Result::ok)
        {
            if let Some(key) = line.strip_prefix("admin key: ") {
                self.key = key.into();
            }
            if let Some(path) = line.strip_prefix("listening on unix:") {
                self.address = Address::Unix(path.into());
                return Ok(());
            }
            if let Some(address) = line.strip_prefix("listening on http://") {
                self.address = Address::Tcp(address.into());
                return Ok(());
            }
        }
        let log = std::fs::read_to_string(log_path).unwrap_or_default();
        let begin = log.lines().count().saturating_sub(LOG_LINES);
        let last: Vec<&str> = log.lines().skip(begin).collect();
        Err(CommandError::new("the server to measure did not start").with_details(last.join("\n")))
    }

    /// Stops the server properly, so that its files are complete.
    pub(super) fn stop(&mut self) -> Result<(), CommandError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        terminate(&child);
        let status = child.wait().map_err(CommandError::new)?;
        if status.success() {
            return Ok(());
        }
        Err(CommandError::new(format!(
            "the measured server did not stop in order: {status}"
        )))
    }

    /// Returns the process of the server.
    pub(super) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
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

fn terminate(child: &Child) {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(process) = process {
        // A process that has ended already needs no signal.
        let _ = kill_process(process, Signal::TERM);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The folder is removed next, so the server needs no orderly end.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

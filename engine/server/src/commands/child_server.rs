//! A server in a child process, as `bursar demo` and `bursar bench` start it: this program, on a file of theirs.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Address;

/// The longest start of the server. It is far longer than that of a large file, and ends the wait for a server that hangs.
const START_PATIENCE: Duration = Duration::from_mins(5);

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildServerError {
    /// The process could not be started.
    #[error(transparent)]
    Process(#[from] io::Error),
    /// The process ended before it listened.
    #[error("it ended before it listened")]
    Ended,
    /// The process did not listen in time.
    #[error("it did not listen within {} seconds", START_PATIENCE.as_secs())]
    Late,
}

/// A server in a child process. It is killed when this is dropped.
pub(super) struct ChildServer {
    child: Child,
    /// The admin key, if this start has created the file.
    pub(super) key: Option<String>,
    /// The address on which it listens.
    pub(super) address: Address,
}

/// The facts that a server prints at its start.
#[derive(PartialEq, Eq, Debug)]
struct Started {
    key: Option<String>,
    address: Address,
}

impl ChildServer {
    /// Starts a server on a file with further arguments of `bursar serve`, and waits until it listens. Blocks.
    pub(super) fn start(
        database: &Path,
        arguments: &[&str],
        log: Stdio,
    ) -> Result<Self, ChildServerError> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("serve")
            .args(arguments)
            .arg("--db")
            .arg(database);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let output = child.stdout.take();
        let (sender, lines) = channel();
        // The thread reads on after the start, because a server whose output is closed or full could not print any more. It
        // ends with the process.
        std::thread::spawn(move || {
            let lines = output.into_iter().flat_map(|it| BufReader::new(it).lines());
            lines
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        let mut server = Self {
            child,
            key: None,
            address: Address::Tcp(String::new()),
        };
        let Started { key, address } = started(&lines, START_PATIENCE)?;
        server.key = key;
        server.address = address;
        Ok(server)
    }

    /// Returns the id of the process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server with SIGTERM and waits for its end. Blocks.
    pub(super) fn stop(mut self) -> io::Result<ExitStatus> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(process) = process {
            // A process that has ended already needs no signal.
            let _is_sent = kill_process(process, Signal::TERM);
        }
        self.child.wait()
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // Both fail for a process that was waited for, which needs neither.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for the line that names the address, for at most `patience`.
fn started(lines: &Receiver<String>, patience: Duration) -> Result<Started, ChildServerError> {
    let until = Instant::now() + patience;
    let mut key = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => ChildServerError::Late,
            RecvTimeoutError::Disconnected => ChildServerError::Ended,
        })?;
        if let Some(shown) = line.strip_prefix("admin key: ") {
            key = Some(shown.into());
        }
        let address = if let Some(path) = line.strip_prefix("listening on unix:") {
            Address::Unix(path.into())
        } else if let Some(address) = line.strip_prefix("listening on http://") {
            Address::Tcp(address.into())
        } else {
            continue;
        };
        return Ok(Started { key, address });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_ends_with_the_address_or_with_the_output_or_with_the_patience() {
        let (sender, lines) = channel();
        let print = |line: &str| sender.send(line.into()).expect("the lines are read");
        let late = started(&lines, Duration::ZERO);
        assert!(matches!(late, Err(ChildServerError::Late)), "{late:?}");

        print("admin key: bursar_admin_1");
        print("another line");
        print("listening on http://127.0.0.1:7");
        let with_key = started(&lines, START_PATIENCE).expect("it listens");
        assert_eq!(with_key.key.as_deref(), Some("bursar_admin_1"));
        assert_eq!(with_key.address, Address::Tcp("127.0.0.1:7".into()));

        print("listening on unix:/tmp/s");
        let without_key = started(&lines, START_PATIENCE).expect("it listens");
        assert_eq!(without_key.key, None);
        assert_eq!(without_key.address, Address::Unix("/tmp/s".into()));

        drop(sender);
        let ended = started(&lines, START_PATIENCE);
        assert!(matches!(ended, Err(ChildServerError::Ended)), "{ended:?}");
    }
}

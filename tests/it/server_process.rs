//! A server in its own process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bursar_server::client::{Address, Client};
use rustix::process::{Pid, Signal, kill_process};

/// Returns the path of the `bursar` binary that cargo builds for these tests.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bursar-under-test"))
}

/// A server in its own process, which can be killed.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: String,
    /// The admin key, if this start created the file.
    pub(crate) admin_key: Option<String>,
}

impl ServerProcess {
    /// Serves a file on a free port.
    pub(crate) fn serve(file: &Path) -> Self {
        Self::run(binary(), file)
    }

    /// Serves a file with a program that starts the binary itself.
    pub(crate) fn run(program: &Path, file: &Path) -> Self {
        Self::start(program, file, Stdio::null(), &[])
    }

    /// Serves a file on a free port, with maintenance that happens all the time.
    pub(crate) fn maintaining(file: &Path) -> Self {
        let mut command = Command::new(binary());
        command.env("BURSAR_FREQUENT_MAINTENANCE", "1");
        Self::spawn(command, file, Stdio::null(), &[])
    }

    /// Serves a file with further options and writes the log to a file.
    pub(crate) fn logging(file: &Path, log: File, options: &[&str]) -> Self {
        Self::start(binary(), file, log.into(), options)
    }

    fn start(program: &Path, file: &Path, log: Stdio, options: &[&str]) -> Self {
        Self::spawn(Command::new(program), file, log, options)
    }

    fn spawn(mut command: Command, file: &Path, log: Stdio, options: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--db"])
            .arg(file)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut admin_key = None;
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in output.map_while(Result::ok) {
            if let Some(key) = line.strip_prefix("admin key: ") {
                admin_key = Some(key.to_owned());
            }
            if let Some(address) = line.strip_prefix("listening on http://") {
                let address = address.to_owned();
                return Self {
                    child,
                    address,
                    admin_key,
                };
            }
        }
        panic!("the server did not start: {:?}", child.wait());
    }

    /// Returns a client with this key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(Address::Tcp(self.address.clone()), key)
    }

    /// Returns the resident memory of the process in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = { line.unwrap().trim().trim_end_matches(" kB") }
            .parse()
            .unwrap();
        kib * 1024
    }

    /// Ends the process with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, waits for the end of the process, and returns true if it exits with 0.
    pub(crate) fn stop(mut self) -> bool {
        self.terminate();
        self.child.wait().unwrap().success()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Waits up to a minute for the process to end by itself, and returns its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        for _ in 0..1_200 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the process does not end");
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A failed test leaves no process running.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

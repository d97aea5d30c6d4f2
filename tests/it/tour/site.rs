//! The folder and the server in which the blocks of a page run.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use bursar_server::{clock, http::render};
use bursar_storage::{Reading, TimeSource, set_clock_of_file};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use serde_json::json;

use super::page::{Block, ServerState};
use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, assert_audit_passes};
use crate::workspace;

/// The longest time for a block: one compiles a plugin.
const BLOCK_PATIENCE: Duration = Duration::from_mins(10);

/// A folder with `guild.db`, and the server of that file.
pub(super) struct Site {
    folder: tempfile::TempDir,
    server: Option<ServerProcess>,
    key: String,
    disk_is_full: bool,
}

/// A file that another site continues from, and its admin key.
pub(super) struct Start {
    folder: tempfile::TempDir,
    key: String,
}

impl Site {
    /// Creates a server on a new file.
    pub(super) async fn new() -> Self {
        let mut site = Self::in_folder(tempfile::tempdir().unwrap(), String::new());
        let server = site.serve().await;
        site.key = server.admin_key.clone().unwrap();
        site.server = Some(server);
        site
    }

    /// Creates a server on a copy of the file of another site.
    pub(super) async fn copy_of(start: &Start) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(
            start.folder.path().join("guild.db"),
            folder.path().join("guild.db"),
        )
        .unwrap();
        // Without it each page would compile the shop again.
        let cache = folder.path().join("guild.db.cache");
        std::fs::create_dir(&cache).unwrap();
        std::fs::set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
        for entry in std::fs::read_dir(start.folder.path().join("guild.db.cache")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), cache.join(entry.file_name())).unwrap();
        }
        let mut site = Self::in_folder(folder, start.key.clone());
        site.server = Some(site.serve().await);
        site
    }

    fn in_folder(folder: tempfile::TempDir, key: String) -> Self {
        symlink(
            workspace::root().join("examples"),
            folder.path().join("examples"),
        )
        .unwrap();
        symlink(binary(), folder.path().join("bursar")).unwrap();
        // A process whose file reaches its size limit gets a signal first, unlike one whose disk is full.
        let program = folder.path().join("serve.sh");
        let script = format!(
            "#!/bin/bash\ntrap '' XFSZ\nexec {} \"$@\"\n",
            binary().display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        Self {
            folder,
            server: None,
            key,
            disk_is_full: false,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("guild.db")
    }

    async fn serve(&self) -> ServerProcess {
        let program = self.folder.path().join("serve.sh");
        let file = self.file();
        let serve = move || ServerProcess::run(&program, &file);
        tokio::task::spawn_blocking(serve).await.unwrap()
    }

    /// Stops the server, audits the file and returns it.
    pub(super) async fn close(mut self) -> Start {
        self.bring_to(ServerState::Stopped).await;
        assert_audit_passes(&self.file());
        Start {
            folder: self.folder,
            key: self.key,
        }
    }

    /// Brings the server to the state that a block names, and makes the files that it mentions.
    pub(super) async fn prepare(&mut self, block: &Block) {
        self.bring_to(block.state).await;
        if block.script.contains("newer.db") {
            self.make_newer();
        }
        if block.script.contains("ahead.db") {
            self.make_ahead();
        }
    }

    /// Makes a file as a later version would leave it.
    fn make_newer(&self) {
        let mut bytes = std::fs::read(self.file()).unwrap();
        bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        std::fs::write(self.folder.path().join("newer.db"), bytes).unwrap();
    }

    /// Makes a copy of the file as a machine leaves it whose clock is a year ahead.
    fn make_ahead(&self) {
        let ahead = self.folder.path().join("ahead.db");
        std::fs::copy(self.file(), &ahead).unwrap();
        let year = Duration::from_hours(365 * 24);
        let now = clock::system().read();
        let machine = TimeSource::new("a machine that is ahead", move || Reading {
            wall: now.wall + year,
            ..now
        });
        let set = set_clock_of_file(&ahead, &machine, render).unwrap();
        assert!(set.set);
    }

    async fn bring_to(&mut self, state: ServerState) {
        match state {
            ServerState::Serving if self.disk_is_full => {
                self.limit_file_size(None);
                self.disk_is_full = false;
                self.wait_for_readiness(200).await;
            }
            ServerState::Serving if self.server.is_none() => {
                self.server = Some(self.serve().await);
            }
            ServerState::Serving => {}
            ServerState::Stopped => {
                if let Some(server) = self.server.take() {
                    assert!(server.stop(), "the server did not stop in order");
                }
            }
            ServerState::Killed => {
                if self.server.is_none() {
                    self.server = Some(self.serve().await);
                }
                self.server.take().unwrap().kill();
            }
            ServerState::DiskFull => {
                self.limit_file_size(Some(0));
                self.disk_is_full = true;
                let rescue = std::fs::read_to_string(self.folder.path().join("rescue.key"));
                let mut client = self.server.as_ref().unwrap().client(rescue.unwrap().trim());
                let body = json!({ "account": "user:1", "asset": "coin", "amount": 1 });
                let path = format!("{GUILD}/issue");
                let answer = client.post(&path, "on a full disk", &body).await.unwrap();
                assert_eq!(answer.status, 503, "{}", answer.json());
                self.wait_for_readiness(503).await;
            }
        }
    }

    /// Limits the size to which the server's files may grow. To the server this is a full disk.
    fn limit_file_size(&self, bytes: Option<u64>) {
        let pid = self.server.as_ref().unwrap().pid();
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    }

    async fn wait_for_readiness(&self, status: u16) {
        let mut client = self.server.as_ref().unwrap().client("");
        while client.get("/readyz").await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a block and returns what it prints. Variables keep their values for the next block.
    pub(super) async fn run(&self, block: &Block, place: &str) -> String {
        let server = self.server.as_ref();
        let url = server.map_or(String::new(), |server| format!("http://{}", server.address));
        let folder = self.folder.path().display();
        let script = format!(
            "set -a\nif [ -f variables ]; then . ./variables; fi\nPATH='{folder}':$PATH\nURL='{url}'\nKEY='{}'\n{}\nexport -p > variables\n",
            self.key, block.script
        );
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.folder.path())
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let shell = shell.spawn().unwrap();
        let group = Pid::from_child(&shell);
        let output = tokio::task::spawn_blocking(move || shell.wait_with_output().unwrap());
        let Ok(output) = tokio::time::timeout(BLOCK_PATIENCE, output).await else {
            kill_process_group(group, Signal::KILL).unwrap();
            panic!("{place} does not end");
        };
        let output = output.unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}:\n{stdout}\n{stderr}");
        stdout
    }
}

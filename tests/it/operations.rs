//! The hour of `docs/operations.md`, run as it stands there: what an operator copies at night must work.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bursar_server::{clock, http::render};
use bursar_storage::{Reading, TimeSource, set_clock_of_file};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use serde_json::json;

use crate::patience::PATIENCE;
use crate::support::{GUILD, Process, binary};

/// How things stand when a block is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Serving,
    Stopped,
    Killed,
    Full,
}

/// A block of the page, and the line at which it begins.
struct Block {
    standing: Standing,
    line: usize,
    script: String,
}

fn blocks() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (line, text) in page.lines().enumerate() {
        match (text, open.as_mut()) {
            ("```", Some(_)) => blocks.extend(open.take()),
            (step, Some(block)) => block.script.extend([step, "\n"]),
            (head, None) => {
                let standing = match head.strip_prefix("```sh") {
                    Some(" hour serving") => Standing::Serving,
                    Some(" hour stopped") => Standing::Stopped,
                    Some(" hour killed") => Standing::Killed,
                    Some(" hour full") => Standing::Full,
                    Some(other) => panic!("line {}: `{other}` is not run", line + 1),
                    None => continue,
                };
                let (line, script) = (line + 1, String::new());
                open = Some(Block {
                    standing,
                    line,
                    script,
                });
            }
        }
    }
    blocks
}

/// The folder in which the hour takes place.
struct Night {
    folder: tempfile::TempDir,
    server: Option<Process>,
    key: String,
    full: bool,
}

impl Night {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(binary(), folder.path().join("bursar")).unwrap();
        // A file that may not grow is met by a signal first, and a full disk is not.
        let program = folder.path().join("serve.sh");
        let script = format!(
            "#!/bin/bash\ntrap '' XFSZ\nexec {} \"$@\"\n",
            binary().display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let mut night = Self {
            folder,
            server: None,
            key: String::new(),
            full: false,
        };
        let server = night.serve().await;
        let mut client = server.client(&server.admin_key.clone().unwrap());
        for (path, body) in [
            (GUILD.to_owned(), json!({})),
            (
                format!("{GUILD}/assets/coin"),
                json!({ "kind": "currency", "name": "Coin" }),
            ),
            (format!("{GUILD}/accounts/user:1"), json!({})),
        ] {
            assert!(client.put(&path, &body).await.unwrap().status.is_success());
        }
        night.key = server.admin_key.clone().unwrap();
        night.server = Some(server);
        night
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("guild.db")
    }

    async fn serve(&self) -> Process {
        let (program, file) = (self.folder.path().join("serve.sh"), self.file());
        let serve = move || Process::run(&program, &file);
        tokio::task::spawn_blocking(serve).await.unwrap()
    }

    /// A file as a later version would leave it.
    fn make_newer(&self) {
        let mut bytes = std::fs::read(self.file()).unwrap();
        bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        std::fs::write(self.folder.path().join("newer.db"), bytes).unwrap();
    }

    /// A copy of the file as a machine leaves it whose clock is a year ahead.
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

    /// Brings about how things are to stand.
    async fn stand(&mut self, standing: Standing) {
        match standing {
            Standing::Serving if self.full => {
                self.limit(None);
                self.full = false;
                self.ready(200).await;
            }
            Standing::Serving if self.server.is_none() => self.server = Some(self.serve().await),
            Standing::Serving => {}
            Standing::Stopped => {
                if let Some(server) = self.server.take() {
                    assert!(server.stop(), "it ends in order");
                }
            }
            Standing::Killed => {
                if self.server.is_none() {
                    self.server = Some(self.serve().await);
                }
                self.server.take().unwrap().kill();
            }
            Standing::Full => {
                self.limit(Some(0));
                self.full = true;
                let rescue = std::fs::read_to_string(self.folder.path().join("rescue.key"));
                let mut client = self.server.as_ref().unwrap().client(rescue.unwrap().trim());
                let body = json!({ "account": "user:1", "asset": "coin", "amount": 1 });
                let path = format!("{GUILD}/issue");
                let answer = client.post(&path, "on a full disk", &body).await.unwrap();
                assert_eq!(answer.status, 503, "{}", answer.json());
                self.ready(503).await;
            }
        }
    }

    /// Bounds the size to which the server's files may grow: to it that is a full disk.
    fn limit(&self, bytes: Option<u64>) {
        let pid = self.server.as_ref().unwrap().pid();
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    }

    async fn ready(&self, status: u16) {
        let mut client = self.server.as_ref().unwrap().client("");
        while client.get("/readyz").await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a block.
    async fn run(&self, block: &Block) {
        let url = self.server.as_ref().map(|server| &server.address);
        let folder = self.folder.path().display();
        let script = format!("PATH={folder}:$PATH\n{}", block.script);
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.folder.path())
            .env("KEY", &self.key)
            .env(
                "URL",
                format!("http://{}", url.map_or("", |url| url.as_str())),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let shell = shell.spawn().unwrap();
        let group = Pid::from_child(&shell);
        let ran = tokio::task::spawn_blocking(move || shell.wait_with_output().unwrap());
        let line = block.line;
        let Ok(ran) = tokio::time::timeout(PATIENCE, ran).await else {
            kill_process_group(group, Signal::KILL).unwrap();
            panic!("line {line} does not come to its end");
        };
        let ran = ran.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, complained) = (text(&ran.stdout), text(&ran.stderr));
        assert!(ran.status.success(), "line {line}:\n{said}\n{complained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_operators_hour_works() {
    let blocks = blocks();
    assert!(blocks.len() >= 15, "{} blocks", blocks.len());
    let mut night = Night::begin().await;
    for block in &blocks {
        night.stand(block.standing).await;
        if block.script.contains("newer.db") {
            night.make_newer();
        }
        if block.script.contains("ahead.db") {
            night.make_ahead();
        }
        night.run(block).await;
    }
    night.stand(Standing::Stopped).await;
}

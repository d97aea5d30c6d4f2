//! What the story is played on: a folder, a server process, a client, and a count of what held.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::client::{Address, Client, ClientError, Response};
use crate::commands::style;

/// How long the server may take to come up.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// The economy of the story.
pub(super) const GUILD: &str = "/v1/economies/guild";

/// Why the story cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the demo's server: {0}")]
    Process(#[from] std::io::Error),
    #[error("the demo's server: {0}")]
    Client(#[from] ClientError),
    #[error("the demo's server did not come up")]
    Silent,
    #[error("{0}")]
    Unexpected(String),
}

/// A stage with a server on it.
pub(super) struct Stage {
    folder: TempDir,
    server: Child,
    address: String,
    key: String,
    pub(super) client: Client,
    held: u32,
    failed: u32,
}

impl Stage {
    /// A new folder, a new file, a server.
    pub(super) async fn set() -> Result<Self, Broken> {
        let folder = tempfile::tempdir()?;
        let (server, mut words) = spawn(&folder.path().join("demo.db"))?;
        let key = heard(&mut words, "admin key: ").await?;
        let address = heard(&mut words, "listening on http://").await?;
        let client = Client::new(Address::Tcp(address.clone()), key.clone());
        Ok(Self {
            folder,
            server,
            address,
            key,
            client,
            held: 0,
            failed: 0,
        })
    }

    /// The database file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("demo.db")
    }

    /// A connection of its own.
    pub(super) fn connection(&self) -> Client {
        Client::new(Address::Tcp(self.address.clone()), self.key.clone())
    }

    /// Kills the server at once, by SIGKILL: it gets no chance to say anything.
    pub(super) async fn kill(&mut self) -> Result<(), Broken> {
        self.server.start_kill()?;
        self.server.wait().await?;
        Ok(())
    }

    /// Starts a server on the file that is there.
    pub(super) async fn restart(&mut self) -> Result<(), Broken> {
        let (server, mut words) = spawn(&self.file())?;
        self.server = server;
        self.address = heard(&mut words, "listening on http://").await?;
        self.client = self.connection();
        Ok(())
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) async fn stop(&mut self) -> Result<bool, Broken> {
        let pid = self
            .server
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        Ok(self.server.wait().await?.success())
    }

    /// Leaves nothing running.
    pub(super) async fn clear(&mut self) {
        // It has usually stopped by now.
        drop(self.server.start_kill());
        drop(self.server.wait().await);
    }

    /// Counts and shows something that was to hold.
    pub(super) fn check(&mut self, ok: bool, text: impl Display) {
        if ok {
            self.held += 1;
        } else {
            self.failed += 1;
        }
        style::tick(ok, text);
    }

    /// How many checks held, and how many did not.
    pub(super) fn score(&self) -> (u32, u32) {
        (self.held, self.failed)
    }

    /// Has something made that the story needs.
    pub(super) async fn make(&mut self, path: &str, body: Value) -> Result<(), Broken> {
        let made = self.client.put(path, &body).await?;
        expect(&made, path)
    }

    /// Brings something into circulation.
    pub(super) async fn issue(
        &mut self,
        account: &str,
        asset: &str,
        amount: u64,
    ) -> Result<(), Broken> {
        let body = serde_json::json!({ "account": account, "asset": asset, "amount": amount });
        let key = format!("issue {amount} {asset} {account}");
        let issued = self
            .client
            .post(&format!("{GUILD}/issue"), &key, &body)
            .await?;
        expect(&issued, account)
    }

    /// Calls a plugin.
    pub(super) async fn call(
        &mut self,
        action: &str,
        key: &str,
        caller: &str,
        arguments: Value,
    ) -> Result<Response, Broken> {
        let (plugin, action) = action.split_once('/').unwrap_or((action, ""));
        let path = format!("{GUILD}/plugins/{plugin}/actions/{action}");
        let body = serde_json::json!({ "caller": caller, "arguments": arguments });
        Ok(self.client.post(&path, key, &body).await?)
    }

    /// What an account has posted.
    pub(super) async fn posted(&mut self, account: &str, asset: &str) -> Result<i64, Broken> {
        let account = self
            .client
            .get(&format!("{GUILD}/accounts/{account}"))
            .await?
            .json();
        let balance = account
            .get("balances")
            .and_then(|balances| balances.get(asset));
        Ok(balance
            .and_then(|b| b.get("posted"))
            .and_then(Value::as_i64)
            .unwrap_or(0))
    }
}

fn expect(response: &Response, what: &str) -> Result<(), Broken> {
    if response.status.is_success() {
        return Ok(());
    }
    Err(Broken::Unexpected(format!(
        "{what}: {} {}",
        response.status,
        response.json()
    )))
}

type Words = Lines<BufReader<ChildStdout>>;

fn spawn(file: &std::path::Path) -> Result<(Child, Words), Broken> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--db"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let words = server.stdout.take().ok_or(Broken::Silent)?;
    Ok((server, BufReader::new(words).lines()))
}

async fn heard(words: &mut Words, beginning: &str) -> Result<String, Broken> {
    let listen = async {
        while let Some(line) = words.next_line().await? {
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
        Err(Broken::Silent)
    };
    tokio::time::timeout(START_PATIENCE, listen)
        .await
        .unwrap_or(Err(Broken::Silent))
}

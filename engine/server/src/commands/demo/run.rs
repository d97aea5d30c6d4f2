//! One run of the demonstration: a temporary folder, a server process, a client, and the counts of checks.

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

/// The longest start of the server.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// The path of the demonstration's economy.
pub(super) const GUILD: &str = "/v1/economies/guild";

/// A failure that ends the demonstration.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("the server of the demonstration: {0}")]
    Process(#[from] std::io::Error),
    #[error("the server of the demonstration: {0}")]
    Client(#[from] ClientError),
    #[error("the server of the demonstration did not start")]
    NotStarted,
    #[error("{0}")]
    Unexpected(String),
}

/// A run of the demonstration.
pub(super) struct DemoRun {
    folder: TempDir,
    server: Child,
    address: String,
    key: String,
    pub(super) client: Client,
    passed: u32,
    failed: u32,
}

impl DemoRun {
    /// Creates a temporary folder and starts a server on a new file in it.
    pub(super) async fn start() -> Result<Self, DemoError> {
        let folder = tempfile::tempdir()?;
        let (server, mut output) = spawn(&folder.path().join("demo.db"))?;
        let key = read_value(&mut output, "admin key: ").await?;
        let address = read_value(&mut output, "listening on http://").await?;
        let client = Client::new(Address::Tcp(address.clone()), key.clone());
        Ok(Self {
            folder,
            server,
            address,
            key,
            client,
            passed: 0,
            failed: 0,
        })
    }

    /// Returns the path of the database file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("demo.db")
    }

    /// Returns a client with a connection of its own.
    pub(super) fn connection(&self) -> Client {
        Client::new(Address::Tcp(self.address.clone()), self.key.clone())
    }

    /// Kills the server with SIGKILL.
    pub(super) async fn kill(&mut self) -> Result<(), DemoError> {
        self.server.start_kill()?;
        self.server.wait().await?;
        Ok(())
    }

    /// Starts a server on the existing file.
    pub(super) async fn restart(&mut self) -> Result<(), DemoError> {
        let (server, mut output) = spawn(&self.file())?;
        self.server = server;
        self.address = read_value(&mut output, "listening on http://").await?;
        self.client = self.connection();
        Ok(())
    }

    /// Stops the server with SIGTERM and waits for its end. Returns true if it ended in order.
    pub(super) async fn stop(&mut self) -> Result<bool, DemoError> {
        let pid = self
            .server
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        Ok(self.server.wait().await?.success())
    }

    /// Ends the server if it still runs.
    pub(super) async fn clear(&mut self) {
        // Killing a process that has ended is an error, which does not matter here.
        drop(self.server.start_kill());
        drop(self.server.wait().await);
    }

    /// Prints and counts the result of a check.
    pub(super) fn check(&mut self, ok: bool, text: impl Display) {
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        style::tick(ok, text);
    }

    /// Returns the number of checks that passed and that failed.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.passed, self.failed)
    }

    /// Creates a resource with `PUT`. Fails if the server rejects it.
    pub(super) async fn create(&mut self, path: &str, body: Value) -> Result<(), DemoError> {
        let response = self.client.put(path, &body).await?;
        expect(&response, path)
    }

    /// Issues an amount of an asset to an account. Fails if the server rejects it.
    pub(super) async fn issue(
        &mut self,
        account: &str,
        asset: &str,
        amount: u64,
    ) -> Result<(), DemoError> {
        let body = serde_json::json!({ "account": account, "asset": asset, "amount": amount });
        let key = format!("issue {amount} {asset} {account}");
        let response = self
            .client
            .post(&format!("{GUILD}/issue"), &key, &body)
            .await?;
        expect(&response, account)
    }

    /// Calls an action, named as `plugin/action`.
    pub(super) async fn call(
        &mut self,
        action: &str,
        key: &str,
        caller: &str,
        arguments: Value,
    ) -> Result<Response, DemoError> {
        let (plugin, action) = action.split_once('/').unwrap_or((action, ""));
        let path = format!("{GUILD}/plugins/{plugin}/actions/{action}");
        let body = serde_json::json!({ "caller": caller, "arguments": arguments });
        Ok(self.client.post(&path, key, &body).await?)
    }

    /// Returns the posted balance of an account.
    pub(super) async fn posted(&mut self, account: &str, asset: &str) -> Result<i64, DemoError> {
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

/// Fails unless a response is successful.
fn expect(response: &Response, what: &str) -> Result<(), DemoError> {
    if response.status.is_success() {
        return Ok(());
    }
    Err(DemoError::Unexpected(format!(
        "{what}: {} {}",
        response.status,
        response.json()
    )))
}

/// The lines of a server's standard output.
type OutputLines = Lines<BufReader<ChildStdout>>;

fn spawn(file: &std::path::Path) -> Result<(Child, OutputLines), DemoError> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--db"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = server.stdout.take().ok_or(DemoError::NotStarted)?;
    Ok((server, BufReader::new(output).lines()))
}

/// Waits for a line with a prefix and returns the rest of the line.
async fn read_value(output: &mut OutputLines, prefix: &str) -> Result<String, DemoError> {
    let read = async {
        while let Some(line) = output.next_line().await? {
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.to_owned());
            }
        }
        Err(DemoError::NotStarted)
    };
    tokio::time::timeout(START_PATIENCE, read)
        .await
        .unwrap_or(Err(DemoError::NotStarted))
}

//! One run of the demonstration: a temporary folder, a server process, a client, and the counts of checks.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, ClientError, Response};
use crate::commands::child_server::{ChildServer, ChildServerError};
use crate::commands::style;

/// The path of the demonstration's economy.
pub(super) const GUILD: &str = "/v1/economies/guild";

/// A failure that ends the demonstration.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("the server of the demonstration: {0}")]
    Process(#[from] std::io::Error),
    #[error("the server of the demonstration: {0}")]
    Client(#[from] ClientError),
    #[error("the server of the demonstration did not start: {0}")]
    NotStarted(#[from] ChildServerError),
    #[error("the server of the demonstration does not run")]
    NotRunning,
    #[error("{0}")]
    Unexpected(String),
}

/// A run of the demonstration.
pub(super) struct DemoRun {
    // The server ends before its folder is removed, since members are dropped in their order.
    server: Option<ChildServer>,
    folder: TempDir,
    key: String,
    pub(super) client: Client,
    passed: u32,
    failed: u32,
}

impl DemoRun {
    /// Creates a temporary folder and starts a server on a new file in it. Blocks: the demonstration has nothing else to
    /// do meanwhile.
    pub(super) fn start() -> Result<Self, DemoError> {
        let folder = tempfile::tempdir()?;
        let server = start_server(&folder.path().join("demo.db"))?;
        let key = server.key.clone().unwrap_or_default();
        let client = Client::new(server.address.clone(), key.clone());
        Ok(Self {
            server: Some(server),
            folder,
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
    pub(super) fn connection(&self) -> Result<Client, DemoError> {
        let server = self.server.as_ref().ok_or(DemoError::NotRunning)?;
        Ok(Client::new(server.address.clone(), self.key.clone()))
    }

    /// Kills the server with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.server = None;
    }

    /// Starts a server on the existing file. Blocks.
    pub(super) fn restart(&mut self) -> Result<(), DemoError> {
        self.server = Some(start_server(&self.file())?);
        self.client = self.connection()?;
        Ok(())
    }

    /// Stops the server with SIGTERM and waits for its end. Blocks. Returns true if it ended in an orderly way.
    pub(super) fn stop(&mut self) -> Result<bool, DemoError> {
        let server = self.server.take().ok_or(DemoError::NotRunning)?;
        Ok(server.stop()?.success())
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

fn start_server(file: &Path) -> Result<ChildServer, ChildServerError> {
    ChildServer::start(file, &["--listen", "127.0.0.1:0"], Stdio::null())
}

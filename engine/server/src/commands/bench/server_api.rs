//! The few single requests of a run, and the checks of the server before it.

use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::client::{Address, Client, Response};
use crate::commands::error::CommandError;

/// A client that waits for its answers.
pub(super) struct ServerApi {
    handle: Handle,
    client: Client,
    shown: String,
}

impl ServerApi {
    /// Creates a client. `handle` belongs to a runtime that other threads drive.
    pub(super) fn new(handle: Handle, address: &Address, key: &str) -> Self {
        Self {
            handle,
            client: Client::new(address.clone(), key),
            shown: shown(address),
        }
    }

    /// Checks that there is a server of this version, and that the key may open economies. Returns the version.
    pub(super) fn check(&mut self, any_version: bool) -> Result<String, CommandError> {
        let answer = self.send("GET", "/healthz", None, &Value::Null)?.json();
        let version = answer.get("version").and_then(Value::as_str);
        let Some(version) = version.map(str::to_owned) else {
            return Err(CommandError::new(format!(
                "{} is not a Bursar server: its /healthz has no version",
                self.shown
            )));
        };
        let own = env!("CARGO_PKG_VERSION");
        if version != own && !any_version {
            return Err(CommandError::new(format!(
                "{} has version {version} and this program {own}; use the `bursar` of that version, or pass \
                 --any-version",
                self.shown
            )));
        }
        Ok(version)
    }

    /// Returns true if the server has the echo route.
    pub(super) fn has_echo(&mut self) -> Result<bool, CommandError> {
        let body = json!({ "postings": [] });
        let answer = self.send("POST", crate::serve::ECHO_PATH, Some("echo"), &body)?;
        Ok(answer.status.is_success())
    }

    /// Sends a `GET` that must succeed.
    pub(super) fn get(&mut self, path: &str) -> Result<Value, CommandError> {
        let answer = self.send("GET", path, None, &Value::Null)?;
        self.succeeded("GET", path, &answer)
    }

    /// Sends a `PUT` that must succeed.
    pub(super) fn put(&mut self, path: &str, body: &Value) -> Result<Value, CommandError> {
        let answer = self.send("PUT", path, None, body)?;
        self.succeeded("PUT", path, &answer)
    }

    /// Sends a `POST` that must succeed.
    pub(super) fn post(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Value, CommandError> {
        let answer = self.send("POST", path, Some(key), body)?;
        self.succeeded("POST", path, &answer)
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Response, CommandError> {
        let bytes = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let sent = self.client.send(method, path, key, bytes.into());
        let answer = self.handle.block_on(sent);
        answer.map_err(|error| CommandError::new(format!("{}: {error}", self.shown)))
    }

    fn succeeded(
        &self,
        method: &str,
        path: &str,
        answer: &Response,
    ) -> Result<Value, CommandError> {
        let status = answer.status.as_u16();
        let sentence = match status {
            200..300 => return Ok(answer.json()),
            401 => format!("{} does not know this key; pass one of its keys with --key", self.shown),
            403 => format!(
                "the key may not send {method} {path}; pass a key with the scope admin that is not bound to economies"
            ),
            429 => "the key has a rate limit, which would be measured in place of the server; pass a key without one"
                .into(),
            _ => format!("{} rejected {method} {path}", self.shown),
        };
        let text = String::from_utf8_lossy(&answer.body);
        Err(CommandError::new(sentence).with_details(format!("{status} {text}")))
    }
}

/// Returns an address as text for people.
pub(super) fn shown(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

//! Access to a database file: a command opens the file itself, or sends requests to the server that uses it.

use std::path::Path;
use std::time::Duration;

use bursar_storage::{FileLock, Owner, StorageError};

use serde_json::Value;

use super::error::CommandError;
use crate::client::{Address, Client, Response};

/// The longest wait for a response of the server to a request that reads every record of its file.
pub(super) const LONG_PATIENCE: Duration = Duration::from_hours(24);

/// The way in which a command reaches a database file.
pub(super) enum FileAccess {
    /// No other process uses the file, and this command holds its lock.
    Free(FileLock),
    /// A server uses the file. The client is connected to that server.
    Served(Box<Client>),
}

/// Takes the lock of a file, or connects to the server that holds it.
pub(super) fn access(database: &Path) -> Result<FileAccess, CommandError> {
    match FileLock::acquire(database) {
        Ok(lock) => Ok(FileAccess::Free(lock)),
        Err(StorageError::Busy {
            owner: Some(owner), ..
        }) => {
            let Owner { socket, token, .. } = *owner;
            Ok(FileAccess::Served(Box::new(Client::new(
                Address::Unix(socket),
                token,
            ))))
        }
        Err(StorageError::Busy { path, .. }) => Err(CommandError::new(format!(
            "another process is opening {}; try again in a moment",
            path.display()
        ))),
        Err(error) => Err(CommandError::new(error)),
    }
}

/// Takes the lock of a file for work that a server does not do for a command. If a server uses the file, the error says
/// how to do `work` on a copy of it.
pub(super) fn lock_free(database: &Path, work: &str) -> Result<FileLock, CommandError> {
    match access(database)? {
        FileAccess::Free(lock) => Ok(lock),
        FileAccess::Served(_) => Err(CommandError::new(format!(
            "{path} is being served: stop the server first, or make a copy with `bursar backup {path} COPY` and {work} \
             from the copy",
            path = database.display()
        ))),
    }
}

/// Fails if a file does not exist: only `bursar serve` creates one.
pub(super) fn check_exists(file: &Path) -> Result<(), CommandError> {
    if file.exists() {
        return Ok(());
    }
    let path = file.display();
    Err(CommandError::new(format!(
        "there is no file {path}; name a database file"
    )))
}

/// Returns the body of a successful response, or the problem that the server reports.
pub(super) fn into_body(response: &Response) -> Result<Value, CommandError> {
    let body = response.json();
    if response.status.is_success() {
        return Ok(body);
    }
    let detail = body.get("detail").and_then(Value::as_str);
    let detail = detail.unwrap_or("it gave no reason");
    Err(CommandError::new(format!(
        "the server that uses the file: {detail}"
    )))
}

/// Returns the detail of a problem that the server reports, or the status if the response has none.
pub(super) fn detail(response: &Response) -> String {
    let body = response.json();
    let detail = body.get("detail").and_then(Value::as_str);
    detail.map_or_else(
        || {
            format!(
                "the server that uses the file responded {}",
                response.status
            )
        },
        Into::into,
    )
}

//! A file that is being served: its owner is asked instead of the file being opened.

use std::path::Path;
use std::time::Duration;

use bursar_storage::{FileLock, Owner, StorageError};

use serde_json::Value;

use super::CommandError;
use crate::client::{Address, Client, Response};

/// How long the owner of a file may take for what reads every record of it.
pub(super) const LONG_PATIENCE: Duration = Duration::from_hours(24);

/// Who may open a file.
pub(super) enum Access {
    /// We may: nobody else has it.
    Ours(FileLock),
    /// The process that serves it; this speaks to it.
    Theirs(Box<Client>),
}

/// Takes the lock of a file, or the way to whoever has it.
pub(super) fn access(database: &Path) -> Result<Access, CommandError> {
    match FileLock::acquire(database) {
        Ok(lock) => Ok(Access::Ours(lock)),
        Err(StorageError::Busy {
            owner: Some(owner), ..
        }) => {
            let Owner { socket, token, .. } = *owner;
            Ok(Access::Theirs(Box::new(Client::new(
                Address::Unix(socket),
                token,
            ))))
        }
        Err(StorageError::Busy { path, .. }) => Err(CommandError::new(format!(
            "{} is just being opened by another process; try again in a moment",
            path.display()
        ))),
        Err(error) => Err(CommandError::new(error)),
    }
}

/// A file that a command works on must be there: only a server makes one by itself.
pub(super) fn check_there(file: &Path) -> Result<(), CommandError> {
    if file.exists() {
        return Ok(());
    }
    let path = file.display();
    Err(CommandError::new(format!(
        "{path} is not there; name a database file"
    )))
}

/// What the owner of a file answered, or why not.
pub(super) fn owner_says(answer: &Response) -> Result<Value, CommandError> {
    let body = answer.json();
    if answer.status.is_success() {
        return Ok(body);
    }
    let detail = body.get("detail").and_then(Value::as_str);
    let detail = detail.unwrap_or("it gave no reason");
    Err(CommandError::new(format!(
        "the owner of the file: {detail}"
    )))
}

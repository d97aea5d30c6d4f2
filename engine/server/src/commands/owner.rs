//! A file that is being served: its owner is asked instead of the file being opened.

use std::path::Path;

use bursar_storage::{FileLock, Owner, StorageError};

use super::CommandError;
use crate::client::{Address, Client};

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

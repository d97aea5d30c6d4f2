//! The address of the process that owns a file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The process that owns a file, and the address at which commands reach it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The process id.
    pub pid: u32,
    /// The path of its Unix socket.
    pub socket: PathBuf,
    /// A bearer token with the scope `admin` that is valid while the process lives. Only the user that runs the
    /// process can read the lock file.
    pub token: String,
}

//! How a command reaches the process that owns a file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a command reaches the process that owns a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The process.
    pub pid: u32,
    /// Its Unix socket.
    pub socket: PathBuf,
    /// A bearer token with scope `admin`, valid while the process lives. The lock file can be read
    /// only by the user who runs it.
    pub token: String,
}

//! Unix sockets with permissions that hold from the first connection on.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{UnixListener, UnixSocket};

/// The most connections that wait to be accepted. Linux lowers it to `net.core.somaxconn` (`listen(2)`).
const BACKLOG: u32 = 1_024;

/// The permissions of a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketAccess {
    /// The mode of its file.
    pub mode: SocketMode,
    /// The group of its file; none for the group of the process.
    pub group: Option<u32>,
}

/// The mode of the file of a Unix socket. Users with write permission can connect (`unix(7)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketMode(u32);

impl Default for SocketMode {
    /// Access for the user and the group.
    fn default() -> Self {
        Self(0o660)
    }
}

/// A malformed [`SocketMode`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a mode is three octal digits, with or without a leading 0, and lets the owner read and write, such as 0660"
)]
pub struct SocketModeError;

impl FromStr for SocketMode {
    type Err = SocketModeError;

    fn from_str(text: &str) -> Result<Self, SocketModeError> {
        let digits = match text.len() {
            4 => text.strip_prefix('0').ok_or(SocketModeError)?,
            _ => text,
        };
        let is_octal =
            digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = u32::from_str_radix(digits, 8).map_err(|_| SocketModeError)?;
        // The next start connects to the socket to find out whether it is in use, so the owner must have access.
        if is_octal && mode & 0o600 == 0o600 {
            Ok(Self(mode))
        } else {
            Err(SocketModeError)
        }
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Access only for the user of the server.
pub(super) const OWNER_ONLY: SocketAccess = SocketAccess {
    mode: SocketMode(0o600),
    group: None,
};

/// A listening Unix socket. Its file is removed when this value is dropped.
pub(super) struct Socket {
    pub(super) listener: Option<UnixListener>,
    pub(super) path: PathBuf,
}

impl Socket {
    /// Listens on a path.
    pub(super) fn bind(path: PathBuf, access: SocketAccess) -> io::Result<Self> {
        remove_stale(&path)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(&path)?;
        // The permissions are set between bind(2) and listen(2): a connection is refused before the socket listens, so
        // none is accepted with the default permissions.
        if let Some(group) = access.group {
            chown(&path, None, Some(group))?;
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(access.mode.0))?;
        Ok(Self {
            listener: Some(socket.listen(BACKLOG)?),
            path,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Removes the socket file of a killed process. Fails if a process listens on it, or if the file is not a socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Parses the number of a group, or finds it by its name in the text of `/etc/group`.
pub(crate) fn group_id(group: &str, groups: &str) -> Result<u32, String> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let id = groups.lines().find_map(|line| {
        let mut parts = line.split(':');
        let is_match = parts.next() == Some(group);
        is_match.then(|| parts.nth(1)?.parse().ok()).flatten()
    });
    id.ok_or_else(|| format!("/etc/group has no group `{group}`; pass its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_allow_the_owner() {
        for (text, mode) in [
            ("0660", 0o660),
            ("660", 0o660),
            ("0666", 0o666),
            ("600", 0o600),
        ] {
            assert_eq!(text.parse(), Ok(SocketMode(mode)), "{text}");
        }
        for wrong in [
            "",
            "0",
            "66",
            "0888",
            "1660",
            "00660",
            "0o660",
            "rw-rw----",
            "-660",
            "+660",
            "0060",
            "0460",
        ] {
            assert_eq!(wrong.parse::<SocketMode>(), Err(SocketModeError), "{wrong}");
        }
        assert_eq!(SocketMode::default().to_string(), "0660");
        assert_eq!("0660".parse(), Ok(SocketMode::default()));
    }

    #[test]
    fn groups_have_numbers_or_names() {
        let groups = "root:x:0:\nwww-data:x:33:alice\nbroken\nodd:x:many:\n";
        assert_eq!(group_id("33", groups), Ok(33));
        assert_eq!(group_id("www-data", groups), Ok(33));
        for unknown in ["www", "broken", "odd", ""] {
            assert!(group_id(unknown, groups).is_err(), "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_socket_has_the_mode_that_it_was_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        for mode in [0o600, 0o660, 0o666] {
            let access = SocketAccess {
                mode: SocketMode(mode),
                group: None,
            };
            let socket = Socket::bind(path.clone(), access).expect("it is bound");
            let found = std::fs::metadata(&path).expect("it is there");
            assert_eq!(found.permissions().mode() & 0o7777, mode);
            assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
            let again = Socket::bind(path.clone(), access);
            assert!(again.is_err(), "the socket is in use");
            drop(socket);
            assert!(!path.exists(), "its file is removed");
        }
    }
}

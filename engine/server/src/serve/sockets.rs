//! Unix sockets: bound where nothing else is, and open to those that they are meant for from the first
//! moment on.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{UnixListener, UnixSocket};

use super::StartError;

/// Connections that wait to be accepted, by the operating system's leave.
const BACKLOG: u32 = 1_024;

/// Who may connect to a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketAccess {
    /// The permissions of its file.
    pub mode: SocketMode,
    /// The group that its file belongs to; that of the process where it is not said.
    pub group: Option<u32>,
}

/// The permissions of a socket's file: whoever may write to it may connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketMode(u32);

impl Default for SocketMode {
    /// The user and the group.
    fn default() -> Self {
        Self(0o660)
    }
}

/// A text that is no mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a mode is three octal digits, with a 0 before them or not, that let the server's user in: 0660"
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
        // The next start asks whether anybody still listens here.
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

/// The access of the user that the server runs as, and of nobody else.
pub(super) const OWNER_ONLY: SocketAccess = SocketAccess {
    mode: SocketMode(0o600),
    group: None,
};

/// A socket that is listened on. Its file goes with this value: without a listener it only confuses, and
/// the next start would remove it too.
pub(super) struct Socket {
    pub(super) listener: Option<UnixListener>,
    pub(super) path: PathBuf,
}

impl Socket {
    /// Listens on a socket.
    pub(super) fn bind(path: PathBuf, access: SocketAccess) -> Result<Self, StartError> {
        let bound = remove_stale(&path).and_then(|()| {
            let socket = UnixSocket::new_stream()?;
            socket.bind(&path)?;
            // Until it listens nobody can connect, whatever the permissions are that it was made with.
            if let Some(group) = access.group {
                chown(&path, None, Some(group))?;
            }
            std::fs::set_permissions(&path, PermissionsExt::from_mode(access.mode.0))?;
            socket.listen(BACKLOG)
        });
        match bound {
            Ok(listener) => Ok(Self {
                listener: Some(listener),
                path,
            }),
            Err(source) => Err(StartError::Listen {
                address: path.display().to_string(),
                source,
            }),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// A process that was killed leaves its socket file behind; nobody answers on it.
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

/// The number of a group: itself, or the one that `/etc/group` has for a name.
pub(crate) fn group_id(group: &str, groups: &str) -> Result<u32, String> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let named = groups.lines().find_map(|line| {
        let mut parts = line.split(':');
        let is_it = parts.next() == Some(group);
        is_it.then(|| parts.nth(1)?.parse().ok()).flatten()
    });
    named.ok_or_else(|| format!("/etc/group has no group `{group}`; give its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_let_the_server_in() {
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
            assert!(again.is_err(), "somebody listens there");
            drop(socket);
            assert!(!path.exists(), "its file goes with it");
        }
    }
}

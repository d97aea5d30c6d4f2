//! A connection of the load: one request at a time, without a wait that blocks.

use std::io::{self, Read, Write};
use std::time::Instant;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use super::http_answer::{AnswerError, HttpAnswer, read};
use super::requests::RequestKind;
use crate::client::Address;

/// The bytes by which the buffer for answers grows.
const READ_BYTES: usize = 64 * 1024;

/// A socket of either kind.
enum WireSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The failure of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The server closed the connection, or an I/O operation failed.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// The answer cannot be read.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// A connection.
pub(super) struct Wire {
    socket: WireSocket,
    token: Token,
    /// The request, and the bytes of it that were sent.
    pub(super) out: Vec<u8>,
    sent: usize,
    /// The buffer for answers, and the bytes of it that are filled.
    input: Vec<u8>,
    filled: usize,
    /// The kind of the request in progress, and the time from which its latency counts.
    pub(super) kind: RequestKind,
    pub(super) began: Instant,
    /// True if a request is in progress.
    pub(super) busy: bool,
    /// True if a part of the request waits for space in the socket.
    blocked: bool,
}

impl Wire {
    /// Opens a connection.
    pub(super) fn connect(
        address: &Address,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = open(address, registry, token)?;
        Ok(Self {
            socket,
            token,
            out: Vec::new(),
            sent: 0,
            input: vec![0; READ_BYTES],
            filled: 0,
            kind: RequestKind::Read,
            began: Instant::now(),
            busy: false,
            blocked: false,
        })
    }

    /// Opens the connection again. The request in progress is given up.
    pub(super) fn reconnect(&mut self, address: &Address, registry: &Registry) -> io::Result<()> {
        self.socket = open(address, registry, self.token)?;
        self.busy = false;
        self.blocked = false;
        Ok(())
    }

    /// Returns true if a part of the request was not sent yet.
    pub(super) fn is_partial(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Begins to send the request in `out`.
    pub(super) fn send(&mut self, registry: &Registry) -> Result<(), WireError> {
        self.sent = 0;
        self.filled = 0;
        self.busy = true;
        self.flush(registry)
    }

    /// Sends more of the request.
    pub(super) fn flush(&mut self, registry: &Registry) -> Result<(), WireError> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match write(&mut self.socket, rest) {
                Ok(written) => self.sent = self.sent.saturating_add(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.watch_space(true, registry)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.watch_space(false, registry)?)
    }

    /// Has the poll report space in the socket only while it is waited for: a Unix socket reports space after each
    /// request, which would double the number of wake-ups.
    fn watch_space(&mut self, wanted: bool, registry: &Registry) -> io::Result<()> {
        if self.blocked == wanted {
            return Ok(());
        }
        self.blocked = wanted;
        let interest = if wanted {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        match &mut self.socket {
            WireSocket::Tcp(stream) => registry.reregister(stream, self.token, interest),
            WireSocket::Unix(stream) => registry.reregister(stream, self.token, interest),
        }
    }

    /// Reads until the answer is complete. Returns none if it is not.
    ///
    /// The poll is edge-triggered, and a complete answer ends the reading before the socket is empty. That is correct
    /// here: the server sends nothing before the next request, and its answer is another edge.
    pub(super) fn receive(&mut self) -> Result<Option<HttpAnswer<'_>>, WireError> {
        loop {
            if self.filled == self.input.len() {
                self.input
                    .resize(self.filled.saturating_add(READ_BYTES).saturating_mul(2), 0);
            }
            let space = self.input.get_mut(self.filled..).unwrap_or_default();
            let read_bytes = match &mut self.socket {
                WireSocket::Tcp(stream) => stream.read(space),
                WireSocket::Unix(stream) => stream.read(space),
            };
            match read_bytes {
                Ok(0) => {
                    let reason = "the server closed it";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason).into());
                }
                Ok(bytes) => self.filled = self.filled.saturating_add(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            if self.is_complete()? {
                self.busy = false;
                let bytes = self.input.get(..self.filled).unwrap_or_default();
                return Ok(read(bytes)?);
            }
        }
    }

    fn is_complete(&self) -> Result<bool, AnswerError> {
        let bytes = self.input.get(..self.filled).unwrap_or_default();
        Ok(read(bytes)?.is_some())
    }
}

fn write(socket: &mut WireSocket, bytes: &[u8]) -> io::Result<usize> {
    match socket {
        WireSocket::Tcp(stream) => stream.write(bytes),
        WireSocket::Unix(stream) => stream.write(bytes),
    }
}

/// Connects with a wait, so that a refused connection is an error here, and then never waits again.
fn open(address: &Address, registry: &Registry, token: Token) -> io::Result<WireSocket> {
    match address {
        Address::Tcp(address) => {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            registry.register(&mut stream, token, Interest::READABLE)?;
            Ok(WireSocket::Tcp(stream))
        }
        Address::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            let mut stream = UnixStream::from_std(stream);
            registry.register(&mut stream, token, Interest::READABLE)?;
            Ok(WireSocket::Unix(stream))
        }
    }
}

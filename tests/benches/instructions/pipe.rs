//! A connection in memory, and requests on it.

use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose other end is in this process. Clones are the same stream.
#[derive(Clone, Default)]
pub(crate) struct Pipe(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.0.lock().unwrap();
        if ends.input.is_empty() {
            // The task is polled whenever there is more, so no waker is kept.
            return Poll::Pending;
        }
        let count = ends.input.len().min(into.remaining());
        into.put_slice(&ends.input[..count]);
        ends.input.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock().unwrap();
        for part in parts {
            ends.output.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls a connection. Its cost is measured by the name of this function.
#[inline(never)]
pub(crate) fn poll_connection(connection: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
    // The compiler would merge functions with the same code.
    black_box("connection");
    connection()
}

/// Polls the connection to the echo handler, with which the server is compared.
#[inline(never)]
pub(crate) fn poll_echo(connection: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
    black_box("echo");
    connection()
}

/// Polls a connection while the economy is being prepared.
#[inline(never)]
pub(crate) fn poll_preparation(connection: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
    black_box("preparation");
    connection()
}

/// A function that polls a connection.
pub(crate) type PollConnection = fn(&mut dyn FnMut() -> Poll<()>) -> Poll<()>;

impl Pipe {
    /// Sends a request and returns the whole response. The connection runs inside `poll` only.
    pub(crate) async fn exchange(
        &self,
        mut connection: Pin<&mut impl Future<Output = ()>>,
        request: &[u8],
        poll: PollConnection,
    ) -> String {
        self.0.lock().unwrap().input.extend_from_slice(request);
        let response = poll_fn(|context| {
            let ended = poll(&mut || connection.as_mut().poll(context));
            assert!(ended.is_pending(), "the connection has ended");
            let mut ends = self.0.lock().unwrap();
            if ends.output.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(std::mem::take(&mut ends.output))
        });
        String::from_utf8(response.await).unwrap()
    }
}

/// Returns the bytes of a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    key: &str,
    idempotency_key: &str,
    body: &Value,
) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\nidempotency-key: {idempotency_key}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

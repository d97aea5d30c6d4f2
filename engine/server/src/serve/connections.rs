//! Connections: they are accepted up to a number, have timeouts, and end at the shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use super::connection_timer::ConnectionTimer;
use crate::http::ApiRouter;

/// The longest time in which a client may send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// The longest time for which a client may read nothing of a response.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the head of a request, and of a body that a connection buffers before a handler reads it. The default of
/// hyper is about 400 KiB, which 4,096 connections without a key could fill.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A source of connections.
pub(super) trait Listener: Send + 'static {
    /// The type of a connection.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    /// Waits for the next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // A response is written at once, so waiting for more data (Nagle's algorithm, RFC 896) would only delay it.
        drop(stream.set_nodelay(true));
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

/// Serves the connections of one or more listeners. Clones share the limit on connections.
#[derive(Clone)]
pub(super) struct ConnectionServer {
    router: ApiRouter,
    permits: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
}

impl ConnectionServer {
    /// Creates a server of at most `connections` connections at the same time.
    pub(super) fn new(router: ApiRouter, connections: usize) -> Self {
        Self {
            router,
            permits: Arc::new(Semaphore::new(connections)),
            graceful: Arc::new(GracefulShutdown::new()),
        }
    }

    /// Creates a server of the same API with a limit of its own. The two shut down together.
    pub(super) fn with_limit(&self, connections: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(connections)),
            ..self.clone()
        }
    }

    /// Accepts connections until `stopped` is true.
    pub(super) async fn accept(self, listener: impl Listener, mut stopped: watch::Receiver<bool>) {
        loop {
            // The permit comes first, so that a connection that cannot be served stays in the backlog of the kernel.
            let accept = async {
                let permit = Arc::clone(&self.permits).acquire_owned().await;
                (permit, listener.next().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accept => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match (permit, accepted) {
                (Ok(permit), Ok(stream)) => self.serve(stream, permit),
                // An accept fails if the process has no file descriptors left (EMFILE, accept(2)). The connection
                // then stays pending, so an accept without a pause would spin.
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted; retrying");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                (Err(_), Ok(_)) => return,
            }
        }
    }

    /// Serves a connection on a task of its own.
    fn serve<S>(&self, stream: S, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let connection = connection(&self.router, stream);
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection was closed with an error");
            }
            drop(permit);
        });
    }

    /// Closes each connection after the response to its current request. Returns false if some have not ended within
    /// `patience`. No clone may exist any more.
    pub(super) async fn close(self, patience: Duration) -> bool {
        let Some(graceful) = Arc::into_inner(self.graceful) else {
            return false;
        };
        tokio::time::timeout(patience, graceful.shutdown())
            .await
            .is_ok()
    }
}

/// Serves the requests of one connection.
pub(super) fn connection<S>(
    router: &ApiRouter,
    stream: S,
) -> impl GracefulConnection<Error = hyper::Error> + use<S>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let router = router.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = router.answer(request.map(Body::new)).await;
            Ok::<_, Infallible>(response)
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_PATIENCE));
    http1::Builder::new()
        .timer(ConnectionTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}

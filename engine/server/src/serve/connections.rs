//! The door: connections are let in up to a number, watched over while they are inside, and shown
//! out at the end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may leave an answer unread.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the head of a request, and of what a connection keeps of a body before somebody reads it. The
/// default of hyper is 400 KiB, which 4,096 connections without a key could fill.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come from.
pub(super) trait Listener: Send + 'static {
    /// What a connection is.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    /// Waits for the next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Answers are small and complete: waiting to fill a packet only costs time.
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

/// What every connection needs.
#[derive(Clone)]
pub(super) struct ConnectionServer {
    router: Router,
    places: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
}

impl ConnectionServer {
    /// A door behind which there is room for so many connections; more wait outside.
    pub(super) fn new(router: Router, places: usize) -> Self {
        Self {
            router,
            places: Arc::new(Semaphore::new(places)),
            graceful: Arc::new(GracefulShutdown::new()),
        }
    }

    /// Another door to the same house, with room of its own.
    pub(super) fn beside(&self, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            ..self.clone()
        }
    }

    /// Lets connections in until `stopped`.
    pub(super) async fn open(self, listener: impl Listener, mut stopped: watch::Receiver<bool>) {
        loop {
            let admitted = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.next().await)
            };
            let (place, accepted) = tokio::select! {
                admitted = admitted => admitted,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match (place, accepted) {
                (Ok(place), Ok(stream)) => self.admit(stream, place),
                // An accept fails when the process is out of file descriptors; asking again at once
                // would spin.
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                (Err(_), Ok(_)) => return,
            }
        }
    }

    fn admit<S>(&self, stream: S, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.clone();
            async move {
                let response = router.oneshot(request.map(Body::new)).await;
                Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
            }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_PATIENCE));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }

    /// Lets requests under way end, within a time; connections end after the answer that they wait
    /// for. False if the time did not do. There must be no other door left.
    pub(super) async fn close(self, patience: Duration) -> bool {
        let Some(graceful) = Arc::into_inner(self.graceful) else {
            return false;
        };
        tokio::time::timeout(patience, graceful.shutdown())
            .await
            .is_ok()
    }
}

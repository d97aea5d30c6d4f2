//! The intake of request bodies: memory for a body is admitted before its first byte is read, and
//! its arrival is limited in time.
//!
//! A handler checks the key and the path before it reads the body, so an unauthorised request takes
//! no memory. The memory is released when the handler has responded.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::header::EXPECT;
use bursar_ledger::EconomyId;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::request_scope::RequestScope;
use super::state::Api;
use crate::bodies::{BodyLimiter, BodyPermit, SMALL_BODY_BYTES_MAX};
use crate::service::SYSTEM;

/// The time in which a client must send a body after its admission.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The time that a large body may lag behind. After it, the bytes must arrive at least as fast as
/// if they were spread evenly over [`BODY_PATIENCE`], so that a slow client cannot occupy much
/// memory (compare OWASP on slow HTTP attacks).
const LARGE_BODY_GRACE: Duration = Duration::from_secs(2);

/// The reason for which a body was not read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// No memory is free for it.
    #[error("too many request bodies are being read; send the same request again later")]
    NoMemory,
    /// The body is larger than the route allows.
    #[error("request body is too large")]
    TooLarge,
    /// The bytes arrive too slowly.
    #[error("request body did not arrive in time")]
    Timeout,
    /// The connection ended before the end of the body.
    #[error("request body was truncated")]
    Truncated,
}

/// A handler whose request bodies are admitted when they are first read.
#[derive(Clone)]
pub(super) struct BodyHandler<H> {
    handler: H,
    bytes_max: usize,
}

impl<H> BodyHandler<H> {
    /// Wraps a handler whose bodies have at most `bytes_max` bytes.
    pub(super) fn new(handler: H, bytes_max: usize) -> Self {
        Self { handler, bytes_max }
    }
}

impl<H: Handler<T, Api>, T> Handler<T, Api> for BodyHandler<H> {
    type Future = H::Future;

    fn call(self, request: Request, api: Api) -> H::Future {
        let request = admit(request, &api.bodies, self.bytes_max);
        self.handler.call(request, api)
    }
}

/// Arranges that the request's body is admitted when it is first read.
fn admit(request: Request, bodies: &Arc<BodyLimiter>, bytes_max: usize) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let (parts, body) = request.into_parts();
    let incoming = IncomingBody {
        economy: economy(parts.uri.path()),
        bodies: Arc::clone(bodies),
        bytes_max: bytes_max as u64,
        expected: body.size_hint().exact(),
        body,
        scope: RequestScope::of(&parts.extensions),
        is_admitted: false,
        received: 0,
        expects_continue: parts.headers.contains_key(EXPECT),
        since: None,
    };
    Request::from_parts(parts, Body::new(AdmittedBody::Idle(incoming)))
}

/// Returns the economy whose share of the memory the body uses.
fn economy(path: &str) -> EconomyId {
    let named = path.strip_prefix("/v1/economies/");
    let named = named.and_then(|rest| rest.split('/').next()?.parse().ok());
    named.unwrap_or_else(|| {
        SYSTEM
            .parse()
            .expect("the name of the system economy is valid")
    })
}

/// A body that is admitted when it is first read.
enum AdmittedBody {
    /// A body between two reads.
    Idle(IncomingBody),
    /// A read that waits. Few reads wait, so only these have a timer.
    Waiting(PendingRead),
    /// A body that has no more bytes.
    Ended,
}

/// The result of a read: the next bytes and the rest of the body, or none at its end.
type Read = Result<Option<(Bytes, IncomingBody)>, BodyError>;

/// A read that waits.
type PendingRead = Pin<Box<dyn Future<Output = Read> + Send>>;

/// A body that arrives.
struct IncomingBody {
    economy: EconomyId,
    bodies: Arc<BodyLimiter>,
    bytes_max: u64,
    body: Body,
    /// The scope that keeps the memory until the request is answered.
    scope: RequestScope,
    is_admitted: bool,
    /// The length, if the client sent it.
    expected: Option<u64>,
    received: u64,
    /// True if the client waits for a 100 response before it sends the body (RFC 9110, section
    /// 10.1.1).
    expects_continue: bool,
    /// The time of the first read that waited after the admission.
    since: Option<Instant>,
}

impl hyper::body::Body for AdmittedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Self::Idle(incoming) = &mut *self {
            match incoming.try_next(context) {
                Some(Ok(Some(bytes))) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Ok(None)) => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
        }
        let mut reading: PendingRead = match mem::replace(&mut *self, Self::Ended) {
            Self::Idle(incoming) => Box::pin(incoming.next()),
            Self::Waiting(reading) => reading,
            Self::Ended => return Poll::Ready(None),
        };
        match reading.as_mut().poll(context) {
            Poll::Pending => {
                *self = Self::Waiting(reading);
                Poll::Pending
            }
            Poll::Ready(Ok(Some((bytes, incoming)))) => {
                *self = Self::Idle(incoming);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Ok(None)) => Poll::Ready(None),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Idle(incoming) => incoming.body.size_hint(),
            Self::Waiting(_) => SizeHint::default(),
            Self::Ended => SizeHint::with_exact(0),
        }
    }
}

impl IncomingBody {
    /// Returns the number of bytes for which the body is admitted. A body without `Content-Length`
    /// may have any length up to the maximum.
    fn expected(&self) -> u64 {
        self.expected.unwrap_or(self.bytes_max)
    }

    fn is_too_large(&self) -> bool {
        self.expected() > self.bytes_max || self.received > self.bytes_max
    }

    /// Reads the next bytes if they have arrived and nothing has to wait. Returns none otherwise.
    fn try_next(&mut self, context: &mut Context<'_>) -> Option<Result<Option<Bytes>, BodyError>> {
        if self.is_too_large() {
            return None;
        }
        if !self.is_admitted {
            let bytes = usize::try_from(self.expected()).ok()?;
            self.keep(self.bodies.try_admit(&self.economy, bytes)?);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let read = self.received(frame);
                (!self.is_too_large()).then_some(read)
            }
            Poll::Pending => None,
        }
    }

    /// Waits for the next bytes.
    async fn next(mut self) -> Read {
        if self.is_too_large() {
            return Err(self.refuse(BodyError::TooLarge).await);
        }
        if !self.is_admitted {
            let bytes = usize::try_from(self.expected()).map_err(|_| BodyError::TooLarge)?;
            let Some(permit) = self.bodies.admit(&self.economy, bytes).await else {
                return Err(self.refuse(BodyError::NoMemory).await);
            };
            self.keep(permit);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = since + due(self.received, self.expected());
        let Ok(frame) = timeout_at(due, self.body.frame()).await else {
            return Err(BodyError::Timeout);
        };
        let bytes = self.received(frame)?;
        if self.is_too_large() {
            return Err(self.refuse(BodyError::TooLarge).await);
        }
        Ok(bytes.map(|bytes| (bytes, self)))
    }

    fn keep(&mut self, permit: BodyPermit) {
        self.scope.keep(permit);
        self.is_admitted = true;
    }

    /// Counts the bytes of a frame, and returns them.
    fn received(
        &mut self,
        frame: Option<Result<Frame<Bytes>, axum::Error>>,
    ) -> Result<Option<Bytes>, BodyError> {
        match frame {
            None => Ok(None),
            Some(Err(_)) => Err(BodyError::Truncated),
            Some(Ok(frame)) => {
                // Trailers are ignored (RFC 9110, section 6.5.1).
                let bytes = frame.into_data().unwrap_or_default();
                self.received += bytes.len() as u64;
                Ok(Some(bytes))
            }
        }
    }

    /// Discards the body for a while before it is rejected. A client that is still sending would
    /// not read the response, and closing the connection early can reset it (RFC 9112, section
    /// 9.6). A client that waits for a 100 response has sent nothing.
    async fn refuse(mut self, error: BodyError) -> BodyError {
        let until = Instant::now() + LARGE_BODY_GRACE;
        while !self.expects_continue
            && let Ok(Some(Ok(_))) = timeout_at(until, self.body.frame()).await
        {}
        error
    }
}

/// Returns the time after a body's admission at which its next byte must have arrived.
fn due(received: u64, expected: u64) -> Duration {
    if expected <= SMALL_BODY_BYTES_MAX as u64 || received >= expected {
        return BODY_PATIENCE;
    }
    let even = BODY_PATIENCE.saturating_sub(LARGE_BODY_GRACE);
    let parts = |bytes: u64| u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    LARGE_BODY_GRACE + even * parts(received) / parts(expected).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_large_bodies_time_out_sooner_than_small_ones() {
        let large = 8 << 20;
        assert_eq!(due(0, large), LARGE_BODY_GRACE);
        assert_eq!(due(100, large), LARGE_BODY_GRACE);
        assert_eq!(due(large / 2, large), Duration::from_secs(6));
        assert_eq!(due(large, large), BODY_PATIENCE);
        assert_eq!(due(0, SMALL_BODY_BYTES_MAX as u64), BODY_PATIENCE);
        assert_eq!(due(0, SMALL_BODY_BYTES_MAX as u64 + 1), LARGE_BODY_GRACE);
    }

    #[test]
    fn a_body_uses_the_share_of_the_economy_in_its_path() {
        for (path, expected) in [
            ("/v1/economies/guild/transfers", "guild"),
            ("/v1/economies/guild", "guild"),
            ("/v1/economies/%20/transfers", SYSTEM),
            ("/v1/components", SYSTEM),
        ] {
            assert_eq!(economy(path).as_str(), expected, "{path}");
        }
    }
}

//! The intake of request bodies: memory for a body is admitted before its first byte is read, and
//! its arrival is limited in time.
//!
//! A handler checks the key and the path before it reads the body, so an unauthorised request takes
//! no memory. The memory is released when the handler has responded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use bursar_ledger::EconomyId;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

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

/// The state of the middleware that admits bodies.
#[derive(Clone)]
pub(super) struct Intake {
    bodies: Arc<BodyLimiter>,
    bytes_max: usize,
}

impl Intake {
    /// Creates the state for a route whose bodies have at most `bytes_max` bytes.
    pub(super) fn new(bodies: Arc<BodyLimiter>, bytes_max: usize) -> Self {
        Self { bodies, bytes_max }
    }
}

/// The memory permit of a body, held until the request is answered.
type PermitSlot = Arc<Mutex<Option<BodyPermit>>>;

/// Arranges that the request's body is admitted when it is first read.
pub(super) async fn admit(State(intake): State<Intake>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let slot = PermitSlot::default();
    let incoming = IncomingBody {
        economy: economy(parts.uri.path()),
        expected: body.size_hint().exact(),
        body,
        intake,
        slot: Arc::clone(&slot),
        received: 0,
        expects_continue: parts.headers.contains_key(EXPECT),
        since: None,
    };
    let body = Body::from_stream(try_unfold(incoming, IncomingBody::next));
    let response = next.run(Request::from_parts(parts, body)).await;
    drop(slot);
    response
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

/// A body that is being read.
struct IncomingBody {
    economy: EconomyId,
    intake: Intake,
    body: Body,
    slot: PermitSlot,
    /// The length, if the client sent it.
    expected: Option<u64>,
    received: u64,
    /// True if the client waits for a 100 response before it sends the body (RFC 9110, section
    /// 10.1.1).
    expects_continue: bool,
    /// The time of admission.
    since: Option<Instant>,
}

impl IncomingBody {
    /// Reads the next bytes.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BodyError> {
        let most = self.intake.bytes_max as u64;
        // A body without `Content-Length` may have any length up to the maximum.
        let expected = self.expected.unwrap_or(most);
        if expected > most {
            return Err(self.refuse(BodyError::TooLarge).await);
        }
        let since = if let Some(since) = self.since {
            since
        } else {
            let bytes = usize::try_from(expected).map_err(|_| BodyError::TooLarge)?;
            let admitted = self.intake.bodies.admit(&self.economy, bytes).await;
            let Some(admitted) = admitted else {
                return Err(self.refuse(BodyError::NoMemory).await);
            };
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(admitted);
            *self.since.insert(Instant::now())
        };
        let due = since + due(self.received, expected);
        match timeout_at(due, self.body.frame()).await {
            Err(_) => Err(BodyError::Timeout),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(BodyError::Truncated),
            Ok(Some(Ok(frame))) => {
                // Trailers are ignored (RFC 9110, section 6.5.1).
                let bytes = frame.into_data().unwrap_or_default();
                self.received += bytes.len() as u64;
                if self.received > most {
                    return Err(self.refuse(BodyError::TooLarge).await);
                }
                Ok(Some((bytes, self)))
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

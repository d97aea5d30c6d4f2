//! Bodies on their way in: admitted before their first byte is read, and within a time.
//!
//! A handler looks at the key and at the path before it reads the body, so whoever may not ask takes
//! no room. The room is free again once the handler has answered.

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

/// The time a client has to send a body, once it is admitted.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The time a large body may be late. After that its bytes have to come as if they were spread evenly
/// over [`BODY_PATIENCE`], so that nobody holds much room by sending little.
const LARGE_BODY_GRACE: Duration = Duration::from_secs(2);

/// The reason that a body is not read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unread {
    /// There is no room for it.
    #[error("too many bodies are being read; send the same again later")]
    NoRoom,
    /// It has more bytes than the route takes.
    #[error("the body is too large")]
    TooLarge,
    /// It comes too slowly.
    #[error("the body did not arrive in time")]
    Slow,
    /// It ended before its end.
    #[error("the body broke off")]
    BrokeOff,
}

/// The state with which routes admit bodies.
#[derive(Clone)]
pub(super) struct Intake {
    bodies: Arc<BodyLimiter>,
    bytes_max: usize,
}

impl Intake {
    /// For a route whose bodies have at most so many bytes.
    pub(super) fn new(bodies: Arc<BodyLimiter>, bytes_max: usize) -> Self {
        Self { bodies, bytes_max }
    }
}

/// Keeps the room of a body until its request is answered.
type Room = Arc<Mutex<Option<BodyPermit>>>;

/// Has the body of a request admitted when it is first looked at.
pub(super) async fn admit(State(intake): State<Intake>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let room = Room::default();
    let coming = Coming {
        economy: economy(parts.uri.path()),
        expected: body.size_hint().exact(),
        body,
        intake,
        room: Arc::clone(&room),
        received: 0,
        waits_for_leave: parts.headers.contains_key(EXPECT),
        since: None,
    };
    let body = Body::from_stream(try_unfold(coming, Coming::next));
    let response = next.run(Request::from_parts(parts, body)).await;
    drop(room);
    response
}

/// The holder of the share that a request's body counts for.
fn economy(path: &str) -> EconomyId {
    let named = path.strip_prefix("/v1/economies/");
    let named = named.and_then(|rest| rest.split('/').next()?.parse().ok());
    named.unwrap_or_else(|| {
        SYSTEM
            .parse()
            .expect("the name of the system economy is a name")
    })
}

/// A body that is being read.
struct Coming {
    economy: EconomyId,
    intake: Intake,
    body: Body,
    room: Room,
    /// Its length, if the client has said it.
    expected: Option<u64>,
    received: u64,
    /// True if the client sends nothing before it is told to (`Expect: 100-continue`).
    waits_for_leave: bool,
    /// The time of its admission.
    since: Option<Instant>,
}

impl Coming {
    /// The next bytes of it.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Unread> {
        let most = self.intake.bytes_max as u64;
        // A length that is not said may be any.
        let expected = self.expected.unwrap_or(most);
        if expected > most {
            return Err(self.refuse(Unread::TooLarge).await);
        }
        let since = if let Some(since) = self.since {
            since
        } else {
            let bytes = usize::try_from(expected).map_err(|_| Unread::TooLarge)?;
            let admitted = self.intake.bodies.admit(&self.economy, bytes).await;
            let Some(admitted) = admitted else {
                return Err(self.refuse(Unread::NoRoom).await);
            };
            *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(admitted);
            *self.since.insert(Instant::now())
        };
        let due = since + due(self.received, expected);
        match timeout_at(due, self.body.frame()).await {
            Err(_) => Err(Unread::Slow),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(Unread::BrokeOff),
            Ok(Some(Ok(frame))) => {
                // Trailers say nothing here.
                let bytes = frame.into_data().unwrap_or_default();
                self.received += bytes.len() as u64;
                if self.received > most {
                    return Err(self.refuse(Unread::TooLarge).await);
                }
                Ok(Some((bytes, self)))
            }
        }
    }

    /// Lets a body pass unread for a while before it is refused: a client that is still sending would
    /// not see the answer. One that waits for leave to send has sent nothing.
    async fn refuse(mut self, why: Unread) -> Unread {
        let until = Instant::now() + LARGE_BODY_GRACE;
        while !self.waits_for_leave
            && let Ok(Some(Ok(_))) = timeout_at(until, self.body.frame()).await
        {}
        why
    }
}

/// Returns the time after a body's admission at which its next byte has to be there.
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
    fn a_large_body_that_trickles_ends_soon_and_a_small_one_has_its_time() {
        let large = 8 << 20;
        assert_eq!(due(0, large), LARGE_BODY_GRACE);
        assert_eq!(due(100, large), LARGE_BODY_GRACE);
        assert_eq!(due(large / 2, large), Duration::from_secs(6));
        assert_eq!(due(large, large), BODY_PATIENCE);
        assert_eq!(due(0, SMALL_BODY_BYTES_MAX as u64), BODY_PATIENCE);
        assert_eq!(due(0, SMALL_BODY_BYTES_MAX as u64 + 1), LARGE_BODY_GRACE);
    }

    #[test]
    fn a_body_counts_for_the_economy_in_its_path() {
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

//! The rate limit of a key in response headers: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11), counted in requests and seconds.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, request::Parts};
use axum::middleware::Next;
use bursar_ledger::{KeyId, RateLimit};

use super::problem::Problem;
use crate::rate::{RateStatus, Rates};

/// The place where authentication stores the key's rate status for the response.
#[derive(Clone, Default)]
struct StatusCell(Arc<OnceLock<RateStatus>>);

/// Counts a request of a key, and rejects it if it exceeds the limit.
pub(super) fn count(
    parts: &Parts,
    rates: &Rates,
    key: &KeyId,
    limit: RateLimit,
) -> Result<(), Problem> {
    let status = rates.ask(key, limit);
    if let Some(StatusCell(cell)) = parts.extensions.get() {
        // A request is counted once, so the cell is empty.
        let _first = cell.set(status);
    }
    if status.admitted {
        return Ok(());
    }
    Err(Problem::rate_limited(status.reset_s))
}

/// Adds the headers to every response to a key that has a rate limit.
pub(super) async fn add_headers(mut request: Request, next: Next) -> Response<axum::body::Body> {
    let cell = StatusCell::default();
    request.extensions_mut().insert(cell.clone());
    let mut response = next.run(request).await;
    if let Some(status) = cell.0.get() {
        write(response.headers_mut(), status);
    }
    response
}

fn write(headers: &mut HeaderMap, status: &RateStatus) {
    let requests = status.limit.requests();
    let per_s = status.limit.per_s();
    let remaining = status.remaining;
    let reset = status.reset_s;
    let fields = [
        (
            "ratelimit-policy",
            format!("\"key\";q={requests};w={per_s}"),
        ),
        ("ratelimit", format!("\"key\";r={remaining};t={reset}")),
    ];
    for (name, value) in fields {
        let value = HeaderValue::try_from(value).expect(
            "digits and ASCII punctuation are a valid \
                                                         header value",
        );
        headers.insert(name, value);
    }
}

//! The rate limit of a key in response headers: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11), counted in requests and seconds.

use axum::http::{HeaderMap, HeaderValue, request::Parts};
use bursar_ledger::{KeyId, RateLimit};

use super::problem::Problem;
use super::request_scope::RequestScope;
use crate::rate::{RateStatus, Rates};

/// Counts a request of a key, and rejects it if it exceeds the limit.
pub(super) fn count(
    parts: &Parts,
    rates: &Rates,
    key: &KeyId,
    limit: RateLimit,
) -> Result<(), Problem> {
    let status = rates.ask(key, limit);
    RequestScope::of(&parts.extensions).set_rate(status);
    if status.admitted {
        return Ok(());
    }
    Err(Problem::rate_limited(status.reset_s))
}

/// Adds the headers to the response to a key that has a rate limit.
pub(super) fn write(headers: &mut HeaderMap, status: &RateStatus) {
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

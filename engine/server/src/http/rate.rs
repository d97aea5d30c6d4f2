//! The rate limit of a key on its answers: `RateLimit-Policy` and `RateLimit`, as in
//! draft-ietf-httpapi-ratelimit-headers-11, in requests and seconds.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, request::Parts};
use axum::middleware::Next;
use bursar_ledger::{KeyId, RateLimit};

use super::Api;
use super::problem::Problem;
use crate::rate::RateStatus;

/// Where authentication leaves how the key stands, for the answer on its way out.
#[derive(Clone, Default)]
struct Told(Arc<OnceLock<RateStatus>>);

/// Counts a request of a key, and turns it away if it is one too many.
pub(super) fn ask(parts: &Parts, api: &Api, key: &KeyId, limit: RateLimit) -> Result<(), Problem> {
    let standing = api.rates.ask(key, limit);
    if let Some(Told(told)) = parts.extensions.get() {
        // A request is asked once, so nothing stands there yet.
        let _first = told.set(standing);
    }
    if standing.admitted {
        return Ok(());
    }
    Err(Problem::rate_limited(standing.reset_s))
}

/// Puts the headers on whatever a key with a limit is answered.
pub(super) async fn tell(mut request: Request, next: Next) -> Response<axum::body::Body> {
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let mut response = next.run(request).await;
    if let Some(standing) = told.0.get() {
        write(response.headers_mut(), standing);
    }
    response
}

fn write(headers: &mut HeaderMap, standing: &RateStatus) {
    let (requests, per_s) = (standing.limit.requests(), standing.limit.per_s());
    let (remaining, reset) = (standing.remaining, standing.reset_s);
    let fields = [
        (
            "ratelimit-policy",
            format!("\"key\";q={requests};w={per_s}"),
        ),
        ("ratelimit", format!("\"key\";r={remaining};t={reset}")),
    ];
    for (name, value) in fields {
        let value = HeaderValue::try_from(value).expect("digits and signs are a header's value");
        headers.insert(name, value);
    }
}

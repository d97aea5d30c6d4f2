//! The echo route of `bursar bench`: the cost of HTTP and JSON alone, on the same listener.
//!
//! `bursar serve` has it only with a hidden option. It is not part of the API, and passes none of its checks.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::http::ApiRouter;

/// The path of the route.
pub(crate) const ECHO_PATH: &str = "/bench/echo";

/// Adds the echo route to a router.
pub(super) fn with_echo(router: ApiRouter) -> ApiRouter {
    router.with_route(ECHO_PATH, post(echo))
}

/// Parses a transfer and returns its postings, without a check and without a record.
async fn echo(body: Bytes) -> Response {
    let Ok(transfer) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = json!({ "postings": transfer.get("postings") }).to_string();
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], answer).into_response()
}

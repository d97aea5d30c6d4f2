//! The HTTP API: its routes and the layers that every request passes.
//!
//! Authentication, scope, the names in the path, and the size and syntax of headers and body are
//! checked before the idempotency key is looked up; the rules of the ledger are checked after it. A
//! request that fails before the look-up is never stored under its key, so it can be corrected and
//! sent again under the same key.

mod accounts;
pub(crate) mod api;
mod assets;
mod audit;
mod auth;
mod backup;
mod batches;
mod calls;
mod components;
mod cursor;
mod economies;
mod events;
mod export;
mod extract;
mod health;
mod holds;
mod intake;
mod json;
mod keys;
mod limits;
mod money;
mod opening;
mod outcomes;
mod owner_token;
mod past;
mod plugins;
mod position;
mod problem;
pub(crate) mod quotas;
mod rate;
mod render;
mod reversals;
mod seeds;
mod state;
mod statement;
mod streams;
mod transfers;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;

use api::codes::Code;
use api::route::Resource;
pub(crate) use api::views::delivered_event;
pub(crate) use backup::BackupBody;
pub(crate) use keys::{all as keys_of, is_reserved, write as write_key};
pub(crate) use opening::{
    LIST_CHARS_MAX, OPENING_ROWS_MAX, OpeningBody, OpeningReport, OpeningRowBody, RowReport,
    is_list_name,
};
pub use owner_token::OwnerToken;
pub use problem::Problem;
pub use render::render;
pub use state::Api;
pub(crate) use transfers::MEMO_CHARS_MAX;

impl Api {
    /// Builds the router with all routes.
    pub fn router(self) -> Router {
        api::route::router(resources(), &self.bodies)
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(DefaultBodyLimit::disable())
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(rate::add_headers))
            .layer(map_response(forbid_caching))
            .with_state(self)
    }
}

/// The resources of the API, in the order of its description.
fn resources() -> Vec<Resource> {
    vec![
        economies::routes(),
        assets::routes(),
        accounts::routes(),
        transfers::routes(),
        holds::routes(),
        seeds::routes(),
        plugins::routes(),
        events::routes(),
        webhooks::routes(),
        audit::routes(),
        export::routes(),
        keys::routes(),
        components::routes(),
        health::routes(),
        api::docs::routes(openapi),
    ]
}

/// Returns the OpenAPI document of this server's API.
pub fn openapi() -> Value {
    api::openapi::document(&resources())
}

/// Forbids caches to store a response: it is valid only for this moment and for the key of the
/// request (RFC 9111, section 5.2.2.5).
async fn forbid_caching(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

async fn no_route() -> Problem {
    Problem::new(
        Code::RouteNotFound,
        "the API has no such path; `/docs` lists all paths",
    )
}

async fn no_method() -> Problem {
    let detail = "this path does not support this method; `/docs` lists the methods of each path";
    Problem::new(Code::MethodNotAllowed, detail)
}

/// Turns a panic of a handler into a response with the status 500. The panic ends only its own
/// request, and the response reveals nothing about it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal(
        "internal error: the request was aborted, and the server's log says why. Send it \
                  again with the same key",
    )
    .into_response()
}

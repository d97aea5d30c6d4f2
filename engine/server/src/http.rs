//! The API: routes, and what every request passes through.
//!
//! Authentication, scope, the names in the path, the size and the syntax of headers and body all
//! come before the idempotency key is looked up, and the rules come after. Whatever is refused
//! before the look-up is never stored under the key.

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
mod opening;
mod outcomes;
mod past;
mod plugins;
mod position;
mod problem;
pub(crate) mod quotas;
mod rate;
mod render;
mod reversals;
mod seeds;
mod statement;
mod streams;
mod transfers;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::bodies::BodyLimiter;
use crate::rate::Rates;
use crate::service::Service;
use crate::webhooks::Webhooks;
use api::codes::Code;
pub use api::openapi::document as openapi;
use api::route::Resource;
pub use auth::OwnerToken;
pub(crate) use backup::BackupBody;
pub(crate) use events::body as event_body;
pub(crate) use keys::{all as keys_of, is_reserved, write as write_key};
pub(crate) use opening::{
    LIST_CHARS_MAX, OPENING_ROWS_MAX, OpeningBody, OpeningReport, OpeningRowBody, RowReport,
    is_list_name,
};
pub use problem::Problem;
pub use render::render;
pub(crate) use transfers::MEMO_CHARS_MAX;

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    service: Service,
    owner: Arc<OwnerToken>,
    streams: Arc<streams::Streams>,
    exports: Arc<Semaphore>,
    audits: Arc<Semaphore>,
    rates: Arc<Rates>,
    webhooks: Webhooks,
    bodies: Arc<BodyLimiter>,
    ending: watch::Receiver<bool>,
}

impl Api {
    /// The API of a running service, until `ending`.
    pub fn new(
        service: Service,
        owner: OwnerToken,
        rates: Rates,
        webhooks: Webhooks,
        bodies: Arc<BodyLimiter>,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            service,
            owner: Arc::new(owner),
            streams: Arc::new(streams::Streams::new()),
            exports: Arc::new(Semaphore::new(export::EXPORTS_MAX)),
            audits: Arc::new(audit::place()),
            rates: Arc::new(rates),
            webhooks,
            bodies,
            ending,
        }
    }

    /// All routes.
    pub fn router(self) -> Router {
        api::route::router(resources(), &self.bodies)
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(DefaultBodyLimit::disable())
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(rate::tell))
            .layer(map_response(keep_nowhere))
            .with_state(self)
    }
}

/// Everything that can be asked for, in the order in which the description shows it.
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
        api::docs::routes(),
    ]
}

/// What is answered is of this moment and for the key that asked: no cache on the way keeps it (RFC 9111,
/// section 5.2.2.5).
async fn keep_nowhere(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

async fn no_route() -> Problem {
    Problem::new(Code::RouteNotFound, "the API has no such path")
}

async fn no_method() -> Problem {
    let detail = "this path does not take this method";
    Problem::new(Code::MethodNotAllowed, detail)
}

/// A panic is a bug of ours: it costs its own request, and says nothing of its insides.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::bug("a bug was met; it is in the log. Ask again with the same key").into_response()
}

//! The API: routes, and what every request passes through.
//!
//! Authentication, scope, the names in the path, the size and the syntax of headers and body all
//! come before the idempotency key is looked up, and the rules come after. Whatever is refused
//! before the look-up is never stored under the key.

mod accounts;
mod assets;
mod audit;
mod auth;
mod batches;
mod components;
mod economies;
mod events;
mod extract;
mod health;
mod keys;
mod outcomes;
mod plugins;
mod problem;
mod render;
mod statement;
mod strict;
mod transfers;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bursar_ledger::Retry;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::economy::Bursar;
pub use auth::OwnerToken;
pub(crate) use keys::{all as keys_of, write as write_key};
pub use problem::Problem;
pub use render::render;

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    bursar: Bursar,
    owner: Arc<OwnerToken>,
    streams: Arc<events::Streams>,
    ending: watch::Receiver<bool>,
}

impl Api {
    /// The API of a running service, until `ending`.
    pub fn new(bursar: Bursar, owner: OwnerToken, ending: watch::Receiver<bool>) -> Self {
        Self {
            bursar,
            owner: Arc::new(owner),
            streams: Arc::new(events::Streams::new()),
            ending,
        }
    }

    /// All routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/v1/audit", get(audit::all))
            .route("/v1/keys", get(keys::list))
            .route("/v1/keys/{key}", put(keys::set).post(keys::create))
            .route("/v1/keys/{key}/secret", put(keys::rotate))
            .route(
                "/v1/components",
                get(components::list).post(components::add),
            )
            .route("/v1/economies", get(economies::list))
            .route(
                "/v1/economies/{economy}",
                get(economies::read).put(economies::open),
            )
            .nest("/v1/economies/{economy}", economy_routes())
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(DefaultBodyLimit::disable())
            .layer(CatchPanicLayer::custom(panicked))
            .with_state(self)
    }
}

fn economy_routes() -> Router<Api> {
    Router::new()
        .route("/assets", get(assets::list))
        .route("/assets/{asset}", get(assets::read).put(assets::set))
        .route("/assets/{asset}/holders", get(assets::holders_of))
        .route(
            "/accounts/{account}",
            get(accounts::read).put(accounts::set),
        )
        .route("/accounts/{account}/statement", get(statement::read))
        .route("/transfers", post(transfers::transfer))
        .route("/transfers/batch", post(batches::transfer))
        .route("/issue", post(transfers::issue))
        .route("/burn", post(transfers::burn))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{plugin}", get(plugins::read).put(plugins::set))
        .route("/plugins/{plugin}/actions/{action}", post(plugins::call))
        .route("/outcomes/{key}", get(outcomes::read))
        .route("/events", get(events::read))
        .route("/audit", get(audit::of_economy))
}

async fn no_route() -> Problem {
    Problem::not_found("route_not_found", "the API has no such path")
}

async fn no_method() -> Problem {
    let detail = "this path does not take this method";
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        Retry::Never,
        detail,
    )
}

/// A panic is a bug of ours: it costs its own request, and says nothing of its insides.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::bug("a bug was met; it is in the log. Ask again with the same key").into_response()
}

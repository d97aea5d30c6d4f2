//! The HTTP API: its resources and their routes.
//!
//! Authentication, scope, the names in the path, and the size and syntax of headers and body are
//! checked before the idempotency key is looked up; the rules of the ledger are checked after it. A
//! request that fails before the look-up is never stored under its key, so it can be corrected and
//! sent again under the same key.

mod accounts;
pub(crate) mod api;
mod api_router;
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
mod index;
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
mod request_scope;
mod reversals;
mod seeds;
mod state;
mod statement;
mod streams;
mod transfers;
mod webhooks;

use serde_json::Value;

use api::codes::Code;
use api::route::Resource;
pub(crate) use api::views::delivered_event;
pub use api_router::ApiRouter;
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
    pub fn router(self) -> ApiRouter {
        let routes = api::route::router(resources())
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .with_state(self);
        ApiRouter::new(routes)
    }
}

/// Returns the resources of the API, in the order of its description.
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
        index::routes(resources),
        api::docs::routes(openapi),
    ]
}

/// Returns the OpenAPI document of this server's API.
pub fn openapi() -> Value {
    api::openapi::document(&resources())
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

//! Whether the process lives, and whether it takes requests.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;
use super::problem::Problem;

/// `GET /healthz`: the process lives.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: requests are taken.
pub(super) async fn readyz(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    if api.bursar.storage().is_ready() {
        return Ok(Json(json!({ "status": "ready" })));
    }
    Err(Problem::unavailable(
        "unavailable",
        "no requests are taken at the moment",
    ))
}

//! Components: uploaded, checked, and registered under the hash of their bytes.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_host::UPLOAD_BYTES_MAX;
use bursar_ledger::Scope;
use serde_json::{Value, json};

use super::auth::Caller;
use super::problem::Problem;
use super::{Api, extract, wire};

/// `POST /v1/components`. It needs no idempotency key: the same bytes are the same component.
pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let bytes = extract::read(body, UPLOAD_BYTES_MAX).await?;
    Ok(extract::respond(
        api.bursar.add_component(&caller.actor, bytes).await?,
    ))
}

/// `GET /v1/components`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let state = api.bursar.state();
    let books = state.books(api.bursar.system());
    let components = books.into_iter().flat_map(|books| books.components());
    let components = components.map(|(digest, known)| wire::component(digest, known));
    Ok(Json(
        json!({ "components": components.collect::<Vec<_>>() }),
    ))
}

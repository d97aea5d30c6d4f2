//! The routes that upload and list components.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_host::UPLOAD_BYTES_MAX;
use bursar_ledger::Scope;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::api::route::{Resource, Route};
use super::api::views::{ComponentView, Put};
use super::api::{schemas, views};
use super::auth::Caller;
use super::problem::Problem;
use super::{Api, extract};

pub(super) fn routes() -> Resource {
    let add = Route::post("/v1/components", add)
        .operation(
            "add_component",
            "Upload a component",
            "Checks the component in the body and stores it under the hash of its bytes. Nothing \
             is executed before it is checked. The request may be repeated: the same bytes are the \
             same component.",
        )
        .needs_everywhere(Scope::Admin)
        .bytes::<schemas::Bytes>(BYTES, UPLOAD_BYTES_MAX)
        .answers::<Put<ComponentView<'static>>>(StatusCode::CREATED, "The component is new.")
        .answers::<Put<ComponentView<'static>>>(
            StatusCode::OK,
            "The component was uploaded \
                                                                 before.",
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["component_refused"])
        .writes();
    let list = Route::get("/v1/components", list)
        .operation(
            "list_components",
            "List components",
            "Returns all uploaded components.",
        )
        .needs_everywhere(Scope::Admin)
        .whole_list("only operators upload components.")
        .answers::<ComponentList<'static>>(StatusCode::OK, "The components.");
    Resource {
        name: "components",
        about: "A component is the WebAssembly code of a plugin. It is stored under the hash of \
                its bytes.",
        routes: vec![add, list],
    }
}

/// The media type of a component. Clients often do not know `application/wasm`, and the server
/// checks the bytes only.
const BYTES: &str = "application/octet-stream";

/// The components of a server.
#[derive(Serialize, JsonSchema)]
struct ComponentList<'a> {
    components: Vec<ComponentView<'a>>,
}

/// `POST /v1/components`. It requires no idempotency key, because the same bytes are the same
/// component.
pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let bytes = extract::read(body, UPLOAD_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    Ok(extract::respond(
        api.service.add_component(&caller.actor, bytes).await?,
    ))
}

/// `GET /v1/components`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let state = api.service.state();
    let books = state.books(api.service.system());
    let components = books.into_iter().flat_map(|books| books.components());
    let components = components.map(|(digest, known)| views::component(digest, known));
    Ok(Json(views::to_json(ComponentList {
        components: components.collect(),
    })))
}

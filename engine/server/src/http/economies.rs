//! Economies: opened by PUT, listed as far as the key sees.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{Act, Scope};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::route::{Resource, Route};
use super::wire::{EconomyView, OpenedView, Put};
use super::{Api, extract, wire};
use crate::no_answer::NoAnswer;
use crate::random;

const ECONOMY: &str = "/v1/economies/{economy}";

pub(super) fn routes() -> Resource {
    let open = Route::put(ECONOMY, open)
        .called(
            "open_economy",
            "Open an economy",
            "It takes no body. One that is open stays as it is.",
        )
        .needs(Scope::Admin)
        .answers::<Put<OpenedView<'static>>>(StatusCode::CREATED, "The economy is new.")
        .answers::<Put<OpenedView<'static>>>(StatusCode::OK, "The economy was open.")
        .like(json!({
            "id": "guild", "status": "open", "opened_at": 1_764_025_200_000_u64, "changed": false,
        }))
        .writes();
    let read = Route::get(ECONOMY, read)
        .called(
            "get_economy",
            "Read an economy",
            "The economy, with its newest record.",
        )
        .needs(Scope::Read)
        .answers::<EconomyView<'static>>(StatusCode::OK, "The economy.");
    let list = Route::get("/v1/economies", list)
        .called(
            "list_economies",
            "List economies",
            "The economies that the key may read.",
        )
        .needs_a_key()
        .answers::<EconomyList<'static>>(StatusCode::OK, "The economies.");
    Resource {
        name: "economies",
        about: "An economy is one community's books.",
        routes: vec![open, read, list],
    }
}

/// The economies that a key sees.
#[derive(Serialize, JsonSchema)]
struct EconomyList<'a> {
    economies: Vec<EconomyView<'a>>,
}

/// `PUT /v1/economies/{economy}`
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let id = extract::economy(&economy)?;
    caller.require(Scope::Admin, &id)?;
    let route = format!("/v1/economies/{id}");
    let asking = extract::asking(&caller, id, None, "PUT", &route, &Value::Null);
    let act = Act::OpenEconomy {
        seed: random::seed(),
    };
    Ok(extract::respond(api.bursar.act(asking, act).await?))
}

/// `GET /v1/economies/{economy}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = extract::economy(&economy)?;
    caller.require(Scope::Read, &id)?;
    let state = api.bursar.state();
    let books = state.books(&id).ok_or(NoAnswer::NoEconomy)?;
    Ok(Json(wire::to_json(wire::economy(&id, books))))
}

/// `GET /v1/economies`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    let state = api.bursar.state();
    let visible = state
        .economies()
        .iter()
        .filter(|(id, _)| *id != api.bursar.system() && caller.require(Scope::Read, id).is_ok())
        .map(|(id, books)| wire::economy(id, books));
    Ok(Json(wire::to_json(EconomyList {
        economies: visible.collect(),
    })))
}

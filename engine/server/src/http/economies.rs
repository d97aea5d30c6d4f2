//! Economies: opened by PUT, listed as far as the key sees.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{Act, Scope};
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::no_answer::NoAnswer;
use crate::random;

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
    Ok(Json(wire::economy(
        &id,
        state.books(&id).ok_or(NoAnswer::NoEconomy)?,
    )))
}

/// `GET /v1/economies`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    let state = api.bursar.state();
    let visible: Vec<Value> = state
        .economies()
        .iter()
        .filter(|(id, _)| *id != api.bursar.system() && caller.require(Scope::Read, id).is_ok())
        .map(|(id, books)| wire::economy(id, books))
        .collect();
    Ok(Json(json!({ "economies": visible })))
}

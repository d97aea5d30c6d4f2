//! Economies: opened by PUT, listed as far as the key sees.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{Act, EconomyStatus, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Parsed, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::no_answer::NoAnswer;
use crate::random;

/// `PUT /v1/economies/{economy}`: opens it, and says what may be done in it.
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Asked<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let id = extract::economy(&economy)?;
    caller.require(Scope::Admin, &id)?;
    let Parsed { typed, canonical } = extract::json_or_nothing::<EconomyBody>(body).await?;
    let route = format!("/v1/economies/{id}");
    let asking = extract::asking(&caller, id, None, "PUT", &route, &canonical);
    let open = Act::OpenEconomy {
        seed: random::seed(),
    };
    let opened = api.bursar.act(asking.clone(), open).await?;
    let is_new = opened.status == StatusCode::CREATED.as_u16();
    match typed.status {
        None => Ok(extract::respond(opened)),
        // So it is, if it was opened just now.
        Some(EconomyStatus::Open) if is_new => Ok(extract::respond(opened)),
        Some(status) => {
            let set = api.bursar.act(asking, Act::SetEconomy { status }).await?;
            Ok(extract::respond(set))
        }
    }
}

/// The body of a PUT; it may be missing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct EconomyBody {
    status: Option<EconomyStatus>,
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

//! The routes that open, read and list economies.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{Act, EconomyStatus, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::route::{Resource, Route};
use super::api::views::{EconomyView, OpenedView, Put};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{NoParameters, Parsed, Path, Query};
use super::problem::Problem;
use super::{Api, extract, quotas};
use crate::random;
use crate::service::error::ServiceError;

const ECONOMY: &str = "/v1/economies/{economy}";

pub(super) fn routes() -> Resource {
    let open = Route::put(ECONOMY, open)
        .operation(
            "open_economy",
            "Open or change an economy",
            "Creates the economy if it does not exist, and changes its status otherwise. Without a \
             body an economy that exists stays as it is. `frozen`: the economy can be read, holds \
             can end, and nothing else moves until it is `open` again. `closed` is final and \
             requires that no hold is open.",
        )
        .needs(Scope::Admin)
        .body::<EconomyBody>("open_it", json!({}))
        .or_body("frozen", json!({ "status": "frozen" }))
        .or_no_body()
        .answers::<Put<OpenedView<'static>>>(StatusCode::CREATED, "The economy was created.")
        .answers::<Put<OpenedView<'static>>>(
            StatusCode::OK,
            "The economy exists; `changed` tells \
                                                              if this request changed it.",
        )
        .example(json!({
            "id": "guild", "status": "open", "opened_at": 1_764_025_200_000_u64, "changed": false,
        }))
        .error(StatusCode::CONFLICT, &["holds_open"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes();
    let read = Route::get(ECONOMY, read)
        .operation(
            "get_economy",
            "Get an economy",
            "Returns the economy and the number and hash of its newest record.",
        )
        .needs(Scope::Read)
        .answers::<EconomyView<'static>>(StatusCode::OK, "The economy.");
    let list = Route::get("/v1/economies", list)
        .operation(
            "list_economies",
            "List economies",
            "Returns the economies that the key may read.",
        )
        .needs_a_key()
        .whole_list("only operators open economies.")
        .answers::<EconomyList<'static>>(StatusCode::OK, "The economies.");
    Resource {
        name: "economies",
        about: "An economy holds the books of one community: its assets, accounts, plugins and \
                log.",
        routes: vec![open, read, list, quotas::read_route(), quotas::set_route()],
    }
}

/// The economies that a key may read.
#[derive(Serialize, JsonSchema)]
struct EconomyList<'a> {
    economies: Vec<EconomyView<'a>>,
}

/// `PUT /v1/economies/{economy}`
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let id = extract::economy(&economy)?;
    caller.require(Scope::Admin, &id)?;
    let Parsed { typed, canonical } = extract::json_patch_or_nothing::<EconomyBody>(body).await?;
    caller.unchanged(&api)?;
    let route = format!("/v1/economies/{id}");
    let context = extract::request_context(&caller, id, None, "PUT", &route, &canonical);
    let open = Act::OpenEconomy {
        seed: random::seed(),
    };
    let opened = api.service.act(context.clone(), open).await?;
    let is_new = opened.status == StatusCode::CREATED.as_u16();
    match typed.status {
        None => Ok(extract::respond(opened)),
        // A new economy is open already.
        Some(EconomyStatus::Open) if is_new => Ok(extract::respond(opened)),
        Some(status) => {
            let set = api.service.act(context, Act::SetEconomy { status }).await?;
            Ok(extract::respond(set))
        }
    }
}

/// Changes to an economy. All members are optional.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct EconomyBody {
    #[schemars(with = "Option<schemas::EconomyStatus>")]
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
    let state = api.service.state();
    let books = state.books(&id).ok_or(ServiceError::NoEconomy)?;
    Ok(Json(views::to_json(views::economy(&id, books))))
}

/// `GET /v1/economies`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    let state = api.service.state();
    let visible = state
        .economies()
        .iter()
        .filter(|(id, _)| *id != api.service.system() && caller.require(Scope::Read, id).is_ok())
        .map(|(id, books)| views::economy(id, books));
    Ok(Json(views::to_json(EconomyList {
        economies: visible.collect(),
    })))
}

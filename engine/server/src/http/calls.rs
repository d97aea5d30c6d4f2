//! The route that returns the receipt of a call.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{CallId, Scope};
use serde_json::Value;
use uuid::Uuid;

use super::api::codes::Code;
use super::api::route::Route;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::{Api, extract};
use crate::receipt::{Receipt, ReceiptSeed};
use crate::service::error::ServiceError;

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/calls/{call}", read)
        .operation(
            "get_call",
            "Get the receipt of a call",
            "Returns everything that is needed to replay the call: the component and its \
             configuration, the request, all requests of the plugin to the host and their \
             responses, the draws and their seeds, the outcome, the holds that it ended, the \
             movements and other changes, and the fuel. `bursar verify` checks a receipt without \
             this server.",
        )
        .needs(Scope::Read)
        .answers::<schemas::Receipt>(StatusCode::OK, "The receipt.")
        .error(StatusCode::NOT_FOUND, &["call_not_found"])
        .reads_the_file()
}

/// `GET …/calls/{call}`
async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, call)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id = extract::name::<Uuid>("call", &call).map(CallId)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let of = economy.clone();
    let read = api.service.read(move |storage| storage.call(&of, id));
    let record = read.await?.ok_or_else(|| {
        let detail = format!("the economy has no call {id}");
        Problem::new(Code::CallNotFound, detail)
    })?;
    let origin = record.call.origin.as_ref();
    let known = origin.and_then(|origin| books.server_seed(origin.seed));
    let seed = known.map(|known| ReceiptSeed {
        number: known.number,
        commitment: known.commitment,
        seed: known.revealed,
    });
    Ok(Json(views::to_json(Receipt::new(economy, record, seed))))
}

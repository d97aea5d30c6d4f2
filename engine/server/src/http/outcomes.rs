//! The route that returns the stored answer to an earlier request.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::Scope;
use bursar_storage::IdempotencyKey;

use super::api::codes::Code;
use super::api::route::Route;
use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::render::{KeptCreated, KeptDone};
use super::{Api, extract, money};
use crate::service::error::ServiceError;

const NOT_STORED: &str = "no answer is stored under this idempotency key: the request was not \
    decided, and sending it again is safe";

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/outcomes/{idempotency_key}", read)
        .operation(
            "get_outcome",
            "Get the outcome of a request",
            "Returns the answer that is stored under an idempotency key, for a client that did not \
             receive it: the same status and the same body, byte for byte, for committed and for \
             rejected requests.",
        )
        .needs(Scope::Read)
        .answers::<KeptCreated>(
            StatusCode::CREATED,
            "The answer to a request that created a transfer or a hold.",
        )
        .answers::<KeptDone>(
            StatusCode::OK,
            "The answer to a call, or to the release of a hold.",
        )
        .error(StatusCode::NOT_FOUND, &["outcome_not_found"])
        .error(StatusCode::CONFLICT, money::CONFLICTS)
        .error(StatusCode::CONFLICT, money::HOLD_CONFLICTS)
        .error(StatusCode::CONFLICT, money::REVERSAL_CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["declined"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, money::REJECTIONS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, money::HOLD_REJECTIONS)
        .error(StatusCode::BAD_GATEWAY, &["plugin_fault"])
        .repeats()
        .reads_the_file()
}

/// `GET …/outcomes/{idempotency_key}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, key)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    if api.service.state().books(&economy).is_none() {
        return Err(ServiceError::NoEconomy.into());
    }
    let key: IdempotencyKey = extract::name("idempotency key", &key)?;
    let stored = api
        .service
        .read(move |storage| storage.stored(&economy, &key))
        .await?
        .ok_or_else(|| Problem::new(Code::OutcomeNotFound, NOT_STORED))?;
    Ok(extract::respond(stored.replay()))
}

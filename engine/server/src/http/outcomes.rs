//! The answer that was kept under a key, for a client that lost it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::Scope;
use bursar_storage::{Answer, IdempotencyKey};

use super::api::codes::Code;
use super::api::route::Route;
use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::render::{KeptCreated, KeptDone};
use super::{Api, extract, holds, reversals, transfers};
use crate::service::blocking;
use crate::service::error::ServiceError;

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/outcomes/{idempotency_key}", read)
        .operation(
            "get_outcome",
            "The answer that is kept under a key",
            "For a client that lost it: the same status and the same body, byte for byte, be it a \
             yes or a no.",
        )
        .needs(Scope::Read)
        .answers::<KeptCreated>(StatusCode::CREATED, "What was made: a transfer or a hold.")
        .answers::<KeptDone>(
            StatusCode::OK,
            "What was done: a call, or the release of a hold.",
        )
        .error(StatusCode::NOT_FOUND, &["outcome_not_found"])
        .error(StatusCode::CONFLICT, transfers::CONFLICTS)
        .error(StatusCode::CONFLICT, holds::CONFLICTS)
        .error(StatusCode::CONFLICT, reversals::CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["declined"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, transfers::REFUSALS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, holds::REFUSALS)
        .error(StatusCode::BAD_GATEWAY, &["plugin_fault"])
        .repeats()
}

/// `GET …/outcomes/{idempotency-key}`
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
    let storage = api.service.storage().clone();
    let stored = blocking(move || storage.stored(&economy, &key)).await?;
    let stored = stored.map_err(|_| Problem::bug("the file could not be read"))?;
    let stored = stored
        .ok_or_else(|| Problem::new(Code::OutcomeNotFound, "no answer is kept under this key"))?;
    let answer = Answer {
        status: stored.status,
        body: stored.body,
        replayed: true,
    };
    Ok(extract::respond(answer))
}

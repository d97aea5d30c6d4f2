//! The route that returns an account's balances at a time in the past.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{AccountId, AssetId, Scope, Timestamp};
use bursar_storage::{PastQuery, SubmitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::api::route::Route;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{self, Path, Query, wrong_query};
use super::problem::Problem;
use crate::service::error::ServiceError;

/// The pause between two checks if the commit in progress has ended.
const COMMIT_PAUSE: Duration = Duration::from_millis(2);

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/accounts/{account}/balances", read)
        .operation(
            "get_past_balances",
            "Get balances at a time",
            "Returns the balances of an account after all records up to a time in the past. The \
             response for a given time never changes.",
        )
        .needs(Scope::Read)
        .query::<Moment>()
        .answers::<PastView<'static>>(StatusCode::OK, "The balances at that time.")
        .example(json!({
            "account": "user:1", "at": 1_764_025_200_000_u64, "seq": 7, "balances": { "coin": 170 },
        }))
        .error(StatusCode::NOT_FOUND, &["account_not_found"])
        .reads_the_file()
}

/// The query of past balances.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Moment {
    /// A time in the past.
    #[schemars(with = "schemas::Timestamp")]
    at: u64,
}

/// The balances of an account at a time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PastBalances")]
struct PastView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    #[schemars(with = "schemas::Timestamp")]
    at: Timestamp,
    /// The number of the newest record up to that time; 0 if there was none.
    seq: u64,
    /// The posted balances, by asset.
    #[schemars(with = "BTreeMap<String, schemas::Units>")]
    balances: &'a BTreeMap<AssetId, i64>,
}

/// `GET …/accounts/{account}/balances?at`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
    Query(Moment { at }): Query<Moment>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let at = Timestamp(extract::number("at", at)?);
    let now = api.service.now();
    if at >= now {
        let detail = "must be a time in the past, in milliseconds since 1970-01-01 UTC";
        return Err(wrong_query("at", detail));
    }
    // A commit in progress may have an earlier time stamp, so the response waits for it.
    while at >= api.service.storage().settled(now) {
        if !api.service.storage().is_ready() {
            return Err(ServiceError::Writer(SubmitError::Unavailable).into());
        }
        tokio::time::sleep(COMMIT_PAUSE).await;
    }
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books
        .account(&account)
        .ok_or_else(|| Problem::no_account(&account))?;
    let query = PastQuery {
        economy,
        account: account.clone(),
        assets: found.balances.keys().cloned().collect(),
        seq: books.seq(),
        steps_back: books.steps_back().iter().copied().collect(),
        at,
    };
    let past = api.service.read(move |storage| storage.balances_at(&query));
    let past = past.await?;
    Ok(Json(views::to_json(PastView {
        account: &account,
        at,
        seq: past.seq,
        balances: &past.posted,
    })))
}

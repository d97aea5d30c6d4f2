//! An account's balances at a moment that has passed.

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
use super::accounts::no_account;
use super::api::route::Route;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{self, Path, Query, wrong_query};
use super::problem::Problem;
use crate::service::error::ServiceError;

/// How long the end of a commit is waited for before the next look.
const COMMIT_PAUSE: Duration = Duration::from_millis(2);

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/accounts/{account}/balances", read)
        .operation(
            "get_past_balances",
            "What an account had at a moment of the past",
            "What was posted after everything that was recorded up to that moment. What has passed \
             stays as it was, so the answer to a question never changes.",
        )
        .needs(Scope::Read)
        .query::<Moment>()
        .answers::<PastView<'static>>(StatusCode::OK, "The balances.")
        .example(json!({
            "account": "user:1", "at": 1_764_025_200_000_u64, "seq": 7, "balances": { "coin": 170 },
        }))
        .error(StatusCode::NOT_FOUND, &["account_not_found"])
        .reads_the_file()
}

/// When.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Moment {
    /// A moment that has passed.
    #[schemars(with = "schemas::Timestamp")]
    at: u64,
}

/// What an account had.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PastBalances")]
struct PastView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    #[schemars(with = "schemas::Timestamp")]
    at: Timestamp,
    /// The newest record up to that moment; 0 if there was none.
    seq: u64,
    /// What was posted, by asset.
    #[schemars(with = "BTreeMap<String, schemas::Units>")]
    balances: &'a BTreeMap<AssetId, i64>,
}

/// `GET …/accounts/{account}/balances?at`: what was posted, after everything that was recorded up to
/// that moment. What has passed stays as it was, so the answer to a question never changes.
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
        let detail = "a moment that has passed, in milliseconds since 1970-01-01 UTC";
        return Err(wrong_query("at", detail));
    }
    // What is being committed at this moment may belong before it.
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
        .ok_or_else(|| no_account(&account))?;
    let query = PastQuery {
        economy,
        account: account.clone(),
        newest: found.newest,
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

//! Accounts: made and changed by PUT, read with their balances.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{AccountId, AccountPatch, AccountStatus, Act, LimitsPatch, Patch, Scope};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::codes::Code;
use super::api::route::{Resource, Route};
use super::api::views::{AccountView, Put};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{Nothing, Path, Query};
use super::problem::Problem;
use super::{Api, extract, past, statement};
use crate::service::error::ServiceError;

const ACCOUNT: &str = "/v1/economies/{economy}/accounts/{account}";

pub(super) fn routes() -> Resource {
    let set = Route::put(ACCOUNT, set)
        .operation(
            "set_account",
            "Open or change an account",
            "Absent members stay. Limits are per asset and merged: an asset that is absent keeps its \
             limit, `null` removes it, and `null` instead of all assets removes them all. `null` \
             clears the metadata. An account may be PUT before every command: what is already so \
             stays so. All but `metadata` needs the scope `admin`. A key with the scope `call` that \
             `admits` members opens new accounts beneath its pattern, without limits, and hears of \
             one that is there, and is asked for as it is, that nothing `changed`.",
        )
        .needs(Scope::Transfer)
        .body::<AccountBody>("as_it_is", json!({}))
        .or_body("with_metadata", json!({ "metadata": { "name": "Ada" } }))
        .or_body("on_credit", json!({
                "credit_limit": { "coin": 100 }, "ceiling": { "item:arrow": 64, "coin": null },
            }),
        )
        .answers::<Put<AccountView<'static>>>(StatusCode::CREATED, "The account is new.")
        .answers::<Put<AccountView<'static>>>(StatusCode::OK, "The account was there.")
        .example(json!({
            "id": "user:1", "status": "open", "credit_limit": { "coin": 100 }, "changed": false,
            "balances": { "coin": { "posted": 200, "held": 0, "available": 200 } },
        }))
        .error(StatusCode::FORBIDDEN, &["not_admitted"])
        .error(StatusCode::CONFLICT, &["account_not_empty"])
        .error(
            StatusCode::UNPROCESSABLE_ENTITY,
            &[
                "reserved_account",
                "account_closed",
                "account_frozen",
                "economy_closed",
                "asset_not_found",
                "credit_on_item",
                "too_many_limits",
                "quota_reached",
            ],
        )
        .writes();
    let read = Route::get(ACCOUNT, read)
        .operation(
            "get_account",
            "Read an account",
            "The account, with what it has of each asset.",
        )
        .needs(Scope::Read)
        .answers::<AccountView<'static>>(StatusCode::OK, "The account.")
        .example(json!({
            "id": "user:1", "status": "open", "credit_limit": { "coin": 100 },
            "balances": { "coin": { "posted": 200, "held": 0, "available": 200 } },
        }))
        .error(StatusCode::NOT_FOUND, &["account_not_found"]);
    Resource {
        name: "accounts",
        about: "Accounts hold balances, one for each asset.",
        routes: vec![set, read, statement::route(), past::route()],
    }
}

/// What a PUT says of an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    #[schemars(with = "Option<schemas::AccountStatus>")]
    status: Option<AccountStatus>,
    /// The most that balances may be below zero, by asset; removed, 0. Only a currency can be owed: an item
    /// never goes below zero.
    #[serde(default)]
    #[schemars(with = "Option<schemas::LimitsPatch>")]
    credit_limit: Patch<LimitsPatch>,
    /// The most that balances may be, by asset; removed, 2^53 − 1.
    #[serde(default)]
    #[schemars(with = "Option<schemas::LimitsPatch>")]
    ceiling: Patch<LimitsPatch>,
    /// Replaced as a whole.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Patch<Value>,
}

impl AccountBody {
    /// How far an account may be overdrawn, and whether anything moves on it, is the operator's to
    /// say, not the bot's.
    fn needs(&self) -> Scope {
        let limits_stay = self.credit_limit.is_keep() && self.ceiling.is_keep();
        if limits_stay && self.status.is_none() {
            Scope::Transfer
        } else {
            Scope::Admin
        }
    }

    fn into_patch(self) -> Result<AccountPatch, Problem> {
        let Self {
            status,
            credit_limit,
            ceiling,
            metadata,
        } = self;
        extract::check_metadata(&metadata)?;
        Ok(AccountPatch {
            status,
            credit_limit,
            ceiling,
            metadata,
        })
    }
}

/// `PUT …/accounts/{account}`
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
    _: Query<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    let admission = caller.require_account(&economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let parsed = extract::json_patch::<AccountBody>(body).await?;
    caller.unchanged(&api)?;
    if admission.is_none() {
        caller.require(parsed.typed.needs(), &economy)?;
    }
    let patch = parsed.typed.into_patch()?;
    let route = format!("/v1/economies/{economy}/accounts/{account}");
    let context =
        extract::request_context(&caller, economy, None, "PUT", &route, &parsed.canonical);
    let act = Act::SetAccount {
        account,
        patch,
        admission: admission.map(Box::new),
    };
    Ok(extract::respond(api.service.act(context, act).await?))
}

/// `GET …/accounts/{account}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AccountId = extract::name("account", &account)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.account(&id).ok_or_else(|| no_account(&id))?;
    Ok(Json(views::to_json(views::account(&id, found))))
}

/// The problem of an account in the path that is not there.
pub(super) fn no_account(id: &AccountId) -> Problem {
    let detail = format!("the economy has no account `{id}`");
    Problem::new(Code::AccountNotFound, detail)
}

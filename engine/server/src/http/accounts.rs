//! The routes that open, change and read accounts.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{AccountId, AccountPatch, AccountStatus, Act, LimitsPatch, Patch, Scope};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::route::{Resource, Route};
use super::api::views::{AccountView, Put};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, extract, past, statement};
use crate::service::error::ServiceError;

const ACCOUNT: &str = "/v1/economies/{economy}/accounts/{account}";

pub(super) fn routes() -> Resource {
    let set = Route::put(ACCOUNT, set)
        .operation(
            "set_account",
            "Open or change an account",
            "Creates the account if it does not exist, and changes it otherwise. Absent members \
             keep their present value. Limits are merged by asset: an absent asset keeps its \
             limit, `null` as the limit of an asset removes it, and `null` instead of the object \
             removes all limits. `null` removes the metadata. The request may be repeated before \
             every command: if nothing differs, nothing changes. The members other than `metadata` \
             require the scope `admin`. A key with the scope `call` whose `admits` matches the \
             account may create it, without limits. For an account that exists, that key gets \
             `\"changed\": false` if the request would change nothing, and `not_admitted` \
             otherwise.",
        )
        .needs(Scope::Transfer)
        .body::<AccountBody>("as_it_is", json!({}))
        .or_body("with_metadata", json!({ "metadata": { "name": "Ada" } }))
        .or_body(
            "on_credit",
            json!({
                "credit_limit": { "coin": 100 }, "ceiling": { "item:arrow": 64, "coin": null },
            }),
        )
        .answers::<Put<AccountView<'static>>>(StatusCode::CREATED, "The account was created.")
        .answers::<Put<AccountView<'static>>>(
            StatusCode::OK,
            "The account exists; `changed` tells \
                                                               if this request changed it.",
        )
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
            "Get an account",
            "Returns the account and its balances in all assets.",
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
        about: "An account holds a balance in each asset.",
        routes: vec![set, read, statement::route(), past::route()],
    }
}

/// Changes to an account. Absent members keep their present value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    #[schemars(with = "Option<schemas::AccountStatus>")]
    status: Option<AccountStatus>,
    /// The amount by which balances may be below zero, by asset; 0 after removal. Only a currency
    /// can have a credit limit, an item cannot.
    #[serde(default)]
    #[schemars(with = "Option<schemas::LimitsPatch>")]
    credit_limit: Patch<LimitsPatch>,
    /// The greatest balances, by asset; 2^53 − 1 after removal.
    #[serde(default)]
    #[schemars(with = "Option<schemas::LimitsPatch>")]
    ceiling: Patch<LimitsPatch>,
    /// Your own data. It replaces the present metadata completely.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Patch<Value>,
}

impl AccountBody {
    /// Returns the scope that the change requires. A bot must not decide by itself how far an
    /// account may be overdrawn or if it is frozen, so these changes require `admin`.
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
    _: Query<NoParameters>,
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
    let found = books.account(&id).ok_or_else(|| Problem::no_account(&id))?;
    Ok(Json(views::to_json(views::account(&id, found))))
}

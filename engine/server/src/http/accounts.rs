//! Accounts: made and changed by PUT, read with their balances.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{AccountId, AccountPatch, AccountStatus, Act, Limit, Patch, Scope};
use serde::Deserialize;
use serde_json::Value;

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::no_answer::NoAnswer;

/// The body of a PUT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    status: Option<AccountStatus>,
    #[serde(default)]
    credit_limit: Patch<Limit>,
    #[serde(default)]
    ceiling: Patch<Limit>,
    #[serde(default)]
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
    _: Asked<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let parsed = extract::json::<AccountBody>(body).await?;
    caller.require(parsed.typed.needs(), &economy)?;
    let patch = parsed.typed.into_patch()?;
    let route = format!("/v1/economies/{economy}/accounts/{account}");
    let asking = extract::asking(&caller, economy, None, "PUT", &route, &parsed.canonical);
    Ok(extract::respond(
        api.bursar
            .act(asking, Act::SetAccount { account, patch })
            .await?,
    ))
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
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let found = books.account(&id).ok_or_else(|| {
        Problem::not_found(
            "account_not_found",
            format!("the economy has no account `{id}`"),
        )
    })?;
    Ok(Json(wire::account(&id, found)))
}

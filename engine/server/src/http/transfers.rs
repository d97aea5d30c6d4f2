//! What moves money: transfers between accounts, issue and burn.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bursar_ledger::{
    AccountId, Act, Amount, AssetId, Authority, IssueRequest, Postings, Scope, TransferRequest,
    check_document,
};
use serde::Deserialize;
use serde_json::Value;

use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::{Api, extract};
use crate::random;

/// Characters in a memo.
const MEMO_CHARS_MAX: usize = 256;
/// Characters in a reference.
const REFERENCE_CHARS_MAX: usize = 128;
/// Bytes of a transfer's metadata, as JSON.
const METADATA_BYTES_MAX: usize = 4096;

/// The body of a transfer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    postings: Postings,
    memo: Option<String>,
    reference: Option<String>,
    metadata: Option<Value>,
}

/// The body of issue and burn.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    account: AccountId,
    asset: AssetId,
    amount: Amount,
    memo: Option<String>,
}

fn check_text(pointer: &str, text: Option<&String>, chars_max: usize) -> Result<(), Problem> {
    if text.is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Problem::malformed(
            pointer,
            format!("at most {chars_max} characters"),
        ));
    }
    Ok(())
}

impl TransferBody {
    /// Words that go into the journal with the request and mean nothing to the rules.
    fn check(&self) -> Result<(), Problem> {
        check_text("/memo", self.memo.as_ref(), MEMO_CHARS_MAX)?;
        check_text("/reference", self.reference.as_ref(), REFERENCE_CHARS_MAX)?;
        match &self.metadata {
            Some(metadata) if !metadata.is_object() => {
                Err(Problem::malformed("/metadata", "metadata is a JSON object"))
            }
            Some(metadata) => check_document(metadata, METADATA_BYTES_MAX)
                .map_err(|error| Problem::malformed("/metadata", error.to_string())),
            None => Ok(()),
        }
    }
}

/// `POST …/transfers`
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let key = extract::idempotency_key(&headers)?;
    let parsed = extract::json::<TransferBody>(body).await?;
    parsed.typed.check()?;
    let route = format!("/v1/economies/{economy}/transfers");
    let asking = extract::asking(
        &caller,
        economy,
        Some(key),
        "POST",
        &route,
        &parsed.canonical,
    );
    let authority = if caller.allows(Scope::Admin) {
        Authority::Admin
    } else {
        Authority::Bot
    };
    let request = TransferRequest {
        id: random::transfer_id(),
        postings: parsed.typed.postings,
        authority,
    };
    Ok(extract::respond(
        api.bursar.act(asking, Act::Transfer(request)).await?,
    ))
}

/// `POST …/issue`
pub(super) async fn issue(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    supply(
        &api,
        &caller,
        &economy,
        &headers,
        body,
        ("issue", Act::Issue),
    )
    .await
}

/// `POST …/burn`
pub(super) async fn burn(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    supply(&api, &caller, &economy, &headers, body, ("burn", Act::Burn)).await
}

async fn supply(
    api: &Api,
    caller: &Caller,
    economy: &str,
    headers: &HeaderMap,
    body: Body,
    (route, act): (&str, fn(IssueRequest) -> Act),
) -> Result<Response, Problem> {
    let economy = extract::economy(economy)?;
    caller.require(Scope::Issue, &economy)?;
    let key = extract::idempotency_key(headers)?;
    let parsed = extract::json::<IssueBody>(body).await?;
    let IssueBody {
        account,
        asset,
        amount,
        memo,
    } = parsed.typed;
    check_text("/memo", memo.as_ref(), MEMO_CHARS_MAX)?;
    let route = format!("/v1/economies/{economy}/{route}");
    let asking = extract::asking(
        caller,
        economy,
        Some(key),
        "POST",
        &route,
        &parsed.canonical,
    );
    let request = IssueRequest {
        id: random::transfer_id(),
        account,
        asset,
        amount,
    };
    Ok(extract::respond(
        api.bursar.act(asking, act(request)).await?,
    ))
}

//! What moves money: transfers between accounts, issue and burn.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bursar_ledger::{
    AccountId, Act, Amount, AssetId, Authority, EconomyId, IssueRequest, Postings, Scope,
    TransferRequest, check_document,
};
use serde::Deserialize;
use serde_json::Value;

use super::auth::Caller;
use super::extract::{Asked, Parsed, Path, Preview};
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
    pub(super) postings: Postings,
    pub(super) memo: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) metadata: Option<Value>,
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
    pub(super) fn into_act(self, caller: &Caller) -> Act {
        let authority = if caller.allows(Scope::Admin) {
            Authority::Admin
        } else {
            Authority::Bot
        };
        Act::Transfer(TransferRequest {
            id: random::transfer_id(),
            postings: self.postings,
            authority,
        })
    }

    /// Words that go into the journal with the request and mean nothing to the rules.
    pub(super) fn check(&self) -> Result<(), Problem> {
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
    Asked(Preview { preview }): Asked<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let parsed = extract::json::<TransferBody>(body).await?;
    parsed.typed.check()?;
    let act = parsed.typed.into_act(&caller);
    if preview {
        return Ok(extract::respond(api.bursar.preview(&economy, &act)?));
    }
    let key = extract::idempotency_key(&headers)?;
    let route = format!("/v1/economies/{economy}/transfers");
    let body = &parsed.canonical;
    let asking = extract::asking(&caller, economy, Some(key), "POST", &route, body);
    Ok(extract::respond(api.bursar.act(asking, act).await?))
}

/// `POST …/issue`
pub(super) async fn issue(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Asked(Preview { preview }): Asked<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Issue, &economy)?;
    let parsed = extract::json::<IssueBody>(body).await?;
    let supply = Supply {
        economy,
        preview,
        parsed,
    };
    supply
        .change(&api, &caller, &headers, "issue", Act::Issue)
        .await
}

/// `POST …/burn`
pub(super) async fn burn(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Asked(Preview { preview }): Asked<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Issue, &economy)?;
    let parsed = extract::json::<IssueBody>(body).await?;
    let supply = Supply {
        economy,
        preview,
        parsed,
    };
    supply
        .change(&api, &caller, &headers, "burn", Act::Burn)
        .await
}

/// A change of what is in circulation.
struct Supply {
    economy: EconomyId,
    preview: bool,
    parsed: Parsed<IssueBody>,
}

impl Supply {
    async fn change(
        self,
        api: &Api,
        caller: &Caller,
        headers: &HeaderMap,
        route: &str,
        act: fn(IssueRequest) -> Act,
    ) -> Result<Response, Problem> {
        let (economy, canonical) = (self.economy, self.parsed.canonical);
        let IssueBody {
            account,
            asset,
            amount,
            memo,
        } = self.parsed.typed;
        check_text("/memo", memo.as_ref(), MEMO_CHARS_MAX)?;
        let act = act(IssueRequest {
            id: random::transfer_id(),
            account,
            asset,
            amount,
        });
        if self.preview {
            return Ok(extract::respond(api.bursar.preview(&economy, &act)?));
        }
        let key = extract::idempotency_key(headers)?;
        let route = format!("/v1/economies/{economy}/{route}");
        let asking = extract::asking(caller, economy, Some(key), "POST", &route, &canonical);
        Ok(extract::respond(api.bursar.act(asking, act).await?))
    }
}

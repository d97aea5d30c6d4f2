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
use serde::de::DeserializeOwned;
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

impl IssueBody {
    fn into_request(self, caller: &Caller) -> Result<IssueRequest, Problem> {
        check_text("/memo", self.memo.as_ref(), MEMO_CHARS_MAX)?;
        Ok(IssueRequest {
            id: random::transfer_id(),
            account: self.account,
            asset: self.asset,
            amount: self.amount,
            cap: caller.transfer_cap(),
        })
    }
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
            cap: caller.transfer_cap(),
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
pub(super) async fn transfer(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: TransferBody, caller: &Caller| {
        body.check()?;
        Ok(body.into_act(caller))
    };
    perform(asked, Scope::Transfer, "transfers", read).await
}

/// `POST …/issue`
pub(super) async fn issue(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: IssueBody, caller: &Caller| Ok(Act::Issue(body.into_request(caller)?));
    perform(asked, Scope::Issue, "issue", read).await
}

/// `POST …/burn`
pub(super) async fn burn(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: IssueBody, caller: &Caller| Ok(Act::Burn(body.into_request(caller)?));
    perform(asked, Scope::Issue, "burn", read).await
}

/// A request that moves money of an economy, or previews that.
type MoneyRequest = (
    State<Api>,
    Caller,
    Path<String>,
    Asked<Preview>,
    HeaderMap,
    Body,
);

/// Performs or previews the act that `read` makes of the body.
async fn perform<B: DeserializeOwned>(
    (State(api), caller, Path(economy), Asked(Preview { preview }), headers, body): MoneyRequest,
    scope: Scope,
    route: &str,
    read: fn(B, &Caller) -> Result<Act, Problem>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(scope, &economy)?;
    let Parsed { typed, canonical } = extract::json::<B>(body).await?;
    let act = read(typed, &caller)?;
    if preview {
        return Ok(extract::respond(api.bursar.preview(&economy, &act)?));
    }
    let key = extract::idempotency_key(&headers)?;
    let route = format!("/v1/economies/{economy}/{route}");
    let asking = extract::asking(&caller, economy, Some(key), "POST", &route, &canonical);
    Ok(extract::respond(api.bursar.act(asking, act).await?))
}

//! The handlers of requests that move money: transfer, issue and burn.

mod routes;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{
    AccountId, Act, Amount, AssetId, Authority, EconomyId, IssueRequest, Postings, Scope,
    Timestamp, TransferRequest, check_document,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::schemas;
use super::auth::Caller;
use super::extract::{Canonical, KeyHeader, Parsed, Path, Preview, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::random;
use crate::service::RequestContext;

pub(super) use routes::routes;

/// The greatest length of a memo, in characters.
pub(crate) const MEMO_CHARS_MAX: usize = 256;
/// The greatest length of a reference, in characters.
pub(super) const REFERENCE_CHARS_MAX: usize = 128;
/// The largest metadata of a transfer, as JSON in bytes.
pub(super) const METADATA_BYTES_MAX: usize = 4096;

/// The annotations of a movement. They are recorded with the request and have no effect on the
/// rules.
#[derive(Clone, Copy, Default)]
pub(super) struct Annotations<'a> {
    pub(super) memo: Option<&'a String>,
    pub(super) reference: Option<&'a String>,
    pub(super) metadata: Option<&'a Value>,
}

impl Annotations<'_> {
    /// Checks that the annotations can be recorded.
    pub(super) fn check(self) -> Result<(), Problem> {
        check_text("/memo", self.memo, MEMO_CHARS_MAX)?;
        check_text("/reference", self.reference, REFERENCE_CHARS_MAX)?;
        match self.metadata {
            Some(metadata) if !metadata.is_object() => Err(Problem::malformed(
                "/metadata",
                "`metadata` must be a JSON object",
            )),
            Some(metadata) => check_document(metadata, METADATA_BYTES_MAX)
                .map_err(|error| Problem::malformed("/metadata", error.to_string())),
            None => Ok(()),
        }
    }
}

/// Checks the length of a text.
pub(super) fn check_text(
    pointer: &str,
    text: Option<&String>,
    chars_max: usize,
) -> Result<(), Problem> {
    if text.is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Problem::malformed(
            pointer,
            format!("must have at most {chars_max} characters"),
        ));
    }
    Ok(())
}

/// Returns the authority with which a key moves money.
pub(super) fn authority(caller: &Caller) -> Authority {
    if caller.allows(Scope::Admin) {
        Authority::Admin
    } else {
        Authority::Bot
    }
}

/// A transfer to create.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    /// The postings, in the order in which they are applied.
    #[schemars(with = "schemas::PostingList")]
    pub(super) postings: Postings,
    /// The reason, for people.
    #[schemars(length(max = 256))]
    pub(super) memo: Option<String>,
    /// Your own reference. Statements can be filtered by it.
    #[schemars(length(max = 128))]
    pub(super) reference: Option<String>,
    /// Your own data, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    pub(super) metadata: Option<Value>,
    /// The time at which the transfer took effect outside of Bursar. It is recorded and displayed,
    /// and has no other effect.
    #[schemars(with = "Option<schemas::Timestamp>")]
    pub(super) effective_at: Option<Timestamp>,
}

/// An amount to issue or to burn.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// The account that receives or gives the amount; the issuer is on the other side.
    #[schemars(with = "schemas::AccountName")]
    account: AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: AssetId,
    #[schemars(with = "schemas::Amount")]
    amount: Amount,
    /// The reason, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// The time at which this took effect outside of Bursar. It is recorded and displayed, and has
    /// no other effect.
    #[schemars(with = "Option<schemas::Timestamp>")]
    effective_at: Option<Timestamp>,
}

/// Rejects an `effective_at` in the future. Requests are committed immediately, and a future date
/// would suggest that this one waits.
pub(super) fn check_effective(
    effective_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Problem> {
    if effective_at.is_some_and(|effective_at| effective_at > now) {
        let detail = "`effective_at` must not be in the future: requests are committed \
                      immediately, so send this one when it is due";
        return Err(Problem::malformed("/effective_at", detail));
    }
    Ok(())
}

impl IssueBody {
    fn into_request(self, caller: &Caller, now: Timestamp) -> Result<IssueRequest, Problem> {
        check_text("/memo", self.memo.as_ref(), MEMO_CHARS_MAX)?;
        check_effective(self.effective_at, now)?;
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
    /// Checks the body and converts it to a request to the ledger.
    pub(super) fn into_request(
        self,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<TransferRequest, Problem> {
        check_effective(self.effective_at, now)?;
        Annotations {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()?;
        Ok(TransferRequest {
            id: random::transfer_id(),
            postings: self.postings,
            authority: authority(caller),
            cap: caller.transfer_cap(),
        })
    }
}

/// `POST …/transfers`
pub(super) async fn transfer(request: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: TransferBody, caller: &Caller, now| {
        body.into_request(caller, now).map(Act::Transfer)
    };
    perform(request, Scope::Transfer, "transfers", read).await
}

/// `POST …/issue`
pub(super) async fn issue(request: MoneyRequest) -> Result<Response, Problem> {
    let read =
        |body: IssueBody, caller: &Caller, now| Ok(Act::Issue(body.into_request(caller, now)?));
    perform(request, Scope::Issue, "issue", read).await
}

/// `POST …/burn`
pub(super) async fn burn(request: MoneyRequest) -> Result<Response, Problem> {
    let read =
        |body: IssueBody, caller: &Caller, now| Ok(Act::Burn(body.into_request(caller, now)?));
    perform(request, Scope::Issue, "burn", read).await
}

/// The parts of a request that moves money, or previews that.
pub(super) type MoneyRequest = (
    State<Api>,
    Caller,
    Path<String>,
    Query<Preview>,
    KeyHeader,
    Body,
);

/// Commits or previews the act that `read` creates from the body.
pub(super) async fn perform<B: DeserializeOwned>(
    (State(api), caller, Path(economy), Query(preview), key, body): MoneyRequest,
    scope: Scope,
    route: &str,
    read: fn(B, &Caller, Timestamp) -> Result<Act, Problem>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(scope, &economy)?;
    let Parsed { typed, canonical } = extract::json::<B>(body).await?;
    caller.unchanged(&api)?;
    let submission = ActSubmission {
        act: read(typed, &caller, api.service.now())?,
        path: format!("/v1/economies/{economy}/{route}"),
        economy,
        canonical,
    };
    submit(&api, &caller, preview, key, submission).await
}

/// An act and its request.
pub(super) struct ActSubmission {
    pub(super) economy: EconomyId,
    pub(super) path: String,
    pub(super) canonical: Canonical,
    pub(super) act: Act,
}

/// Commits an act under the idempotency key of the headers, or previews it.
pub(super) async fn submit(
    api: &Api,
    caller: &Caller,
    Preview { preview }: Preview,
    key: KeyHeader,
    submission: ActSubmission,
) -> Result<Response, Problem> {
    let ActSubmission {
        economy,
        path,
        canonical,
        act,
    } = submission;
    if preview {
        return Ok(extract::respond(api.service.preview(&economy, act).await?));
    }
    let key = key.required()?;
    let bytes = canonical.len();
    let request = move || canonical.request("POST", &path);
    let context = RequestContext {
        economy,
        actor: caller.actor.clone(),
        key: Some(key),
        request: api.bodies.work(bytes, request).await?,
    };
    Ok(extract::respond(api.service.act(context, act).await?))
}

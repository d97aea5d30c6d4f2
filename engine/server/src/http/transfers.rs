//! What moves money: transfers between accounts, issue and burn.

mod routes;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
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
use super::extract::{Canonical, Parsed, Path, Preview, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::random;
use crate::service::RequestContext;

pub(super) use routes::{CONFLICTS, REFUSALS, moves_money, routes};

/// Characters in a memo.
pub(crate) const MEMO_CHARS_MAX: usize = 256;
/// Characters in a reference.
const REFERENCE_CHARS_MAX: usize = 128;
/// Bytes of a transfer's metadata, as JSON.
const METADATA_BYTES_MAX: usize = 4096;

/// What a client says of a movement: words that go into the journal with the request and mean
/// nothing to the rules.
#[derive(Clone, Copy, Default)]
pub(super) struct Words<'a> {
    pub(super) memo: Option<&'a String>,
    pub(super) reference: Option<&'a String>,
    pub(super) metadata: Option<&'a Value>,
}

impl Words<'_> {
    /// Whether they can be kept.
    pub(super) fn check(self) -> Result<(), Problem> {
        check_text("/memo", self.memo, MEMO_CHARS_MAX)?;
        check_text("/reference", self.reference, REFERENCE_CHARS_MAX)?;
        match self.metadata {
            Some(metadata) if !metadata.is_object() => {
                Err(Problem::malformed("/metadata", "metadata is a JSON object"))
            }
            Some(metadata) => check_document(metadata, METADATA_BYTES_MAX)
                .map_err(|error| Problem::malformed("/metadata", error.to_string())),
            None => Ok(()),
        }
    }
}

/// Whether a text is not too long.
pub(super) fn check_text(
    pointer: &str,
    text: Option<&String>,
    chars_max: usize,
) -> Result<(), Problem> {
    if text.is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Problem::malformed(
            pointer,
            format!("at most {chars_max} characters"),
        ));
    }
    Ok(())
}

/// On whose authority a key moves money.
pub(super) fn authority(caller: &Caller) -> Authority {
    if caller.allows(Scope::Admin) {
        Authority::Admin
    } else {
        Authority::Bot
    }
}

/// A transfer that is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    /// What is to move, in this order.
    #[schemars(with = "schemas::Postings")]
    pub(super) postings: Postings,
    /// Why, for people.
    #[schemars(length(max = 256))]
    pub(super) memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    pub(super) reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    pub(super) metadata: Option<Value>,
    /// When it took effect elsewhere; it is kept and shown, and means nothing to the rules.
    #[schemars(with = "Option<schemas::Timestamp>")]
    pub(super) effective_at: Option<Timestamp>,
}

/// An amount to bring into circulation, or to take out of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// The account on the other side of the issuer.
    #[schemars(with = "schemas::AccountName")]
    account: AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: AssetId,
    #[schemars(with = "schemas::Amount")]
    amount: Amount,
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// When it took effect elsewhere; it is kept and shown, and means nothing to the rules.
    #[schemars(with = "Option<schemas::Timestamp>")]
    effective_at: Option<Timestamp>,
}

/// When something took effect outside may be said, and not that it will: what is asked for happens
/// now, and a date to come would promise that it waits.
pub(super) fn check_effective(
    effective_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Problem> {
    if effective_at.is_some_and(|effective_at| effective_at > now) {
        let detail = "this is in the future, and nothing is kept for later: send it when it is due";
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
    /// The transfer that is asked for, unless what is said of it cannot be kept.
    pub(super) fn into_request(
        self,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<TransferRequest, Problem> {
        check_effective(self.effective_at, now)?;
        Words {
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
pub(super) async fn transfer(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: TransferBody, caller: &Caller, now| {
        body.into_request(caller, now).map(Act::Transfer)
    };
    perform(asked, Scope::Transfer, "transfers", read).await
}

/// `POST …/issue`
pub(super) async fn issue(asked: MoneyRequest) -> Result<Response, Problem> {
    let read =
        |body: IssueBody, caller: &Caller, now| Ok(Act::Issue(body.into_request(caller, now)?));
    perform(asked, Scope::Issue, "issue", read).await
}

/// `POST …/burn`
pub(super) async fn burn(asked: MoneyRequest) -> Result<Response, Problem> {
    let read =
        |body: IssueBody, caller: &Caller, now| Ok(Act::Burn(body.into_request(caller, now)?));
    perform(asked, Scope::Issue, "burn", read).await
}

/// A request that moves money of an economy, or previews that.
pub(super) type MoneyRequest = (
    State<Api>,
    Caller,
    Path<String>,
    Query<Preview>,
    HeaderMap,
    Body,
);

/// Performs or previews the act that `read` makes of the body.
pub(super) async fn perform<B: DeserializeOwned>(
    (State(api), caller, Path(economy), Query(preview), headers, body): MoneyRequest,
    scope: Scope,
    route: &str,
    read: fn(B, &Caller, Timestamp) -> Result<Act, Problem>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(scope, &economy)?;
    let Parsed { typed, canonical } = extract::json::<B>(body).await?;
    caller.unchanged(&api)?;
    let submitted = Submitted {
        act: read(typed, &caller, api.service.now())?,
        route: format!("/v1/economies/{economy}/{route}"),
        economy,
        canonical,
    };
    submit(&api, &caller, preview, &headers, submitted).await
}

/// An act with what was asked.
pub(super) struct Submitted {
    pub(super) economy: EconomyId,
    pub(super) route: String,
    pub(super) canonical: Canonical,
    pub(super) act: Act,
}

/// Performs an act under the idempotency key that the headers name, or previews it.
pub(super) async fn submit(
    api: &Api,
    caller: &Caller,
    Preview { preview }: Preview,
    headers: &HeaderMap,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let Submitted {
        economy,
        route,
        canonical,
        act,
    } = submitted;
    if preview {
        return Ok(extract::respond(api.service.preview(&economy, act).await?));
    }
    let key = extract::idempotency_key(headers)?;
    let bytes = canonical.len();
    let request = move || canonical.request("POST", &route);
    let context = RequestContext {
        economy,
        actor: caller.actor.clone(),
        key: Some(key),
        request: api.bodies.work(bytes, request).await?,
    };
    Ok(extract::respond(api.service.act(context, act).await?))
}

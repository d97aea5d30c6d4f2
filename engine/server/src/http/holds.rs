//! The handlers of holds: place, list, read, capture and release. The writer ends holds that
//! expire.

mod routes;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{
    AccountId, Act, Amount, AssetId, CaptureRequest, EconomyId, HOLD_SECONDS_MAX, Hold, HoldEnd,
    HoldId, HoldRequest, OnExpiry, Posting, Scope,
};
use bursar_storage::HoldHistory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::api::codes::Code;
use super::api::views::HoldView;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{KeyHeader, Parsed, Path, Preview, Query, wrong_query as wrong};
use super::problem::Problem;
use super::transfers::{ActSubmission, Annotations, MoneyRequest, authority, perform, submit};
use super::{Api, cursor, extract};
use crate::random;
use crate::service::error::ServiceError;

pub(super) use routes::routes;

/// The default number of holds in a page.
const HOLDS: usize = 50;

/// The greatest number of holds in a page.
const HOLDS_PAGE_MAX: usize = 200;

/// The terms of a new hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldBody {
    /// The account on which the amount is reserved.
    #[schemars(with = "schemas::AccountName")]
    from: AccountId,
    /// The account that receives captured amounts.
    #[schemars(with = "schemas::AccountName")]
    to: AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: AssetId,
    #[schemars(with = "schemas::Amount")]
    amount: Amount,
    #[schemars(with = "schemas::HoldSeconds")]
    expires_in_s: u64,
    #[serde(default)]
    #[schemars(with = "Option<schemas::OnExpiry>")]
    on_expiry: OnExpiry,
    /// The reason, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Your own reference. Statements can be filtered by it.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Your own data, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
}

/// The terms of a capture.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureBody {
    /// The amount to capture. Default: the whole remaining amount.
    #[schemars(with = "Option<schemas::Amount>")]
    amount: Option<Amount>,
    /// The reason, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Your own reference. Statements can be filtered by it.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Your own data, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
}

/// The terms of a release.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// The reason, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
}

impl HoldBody {
    fn into_act(self, caller: &Caller) -> Result<Act, Problem> {
        Annotations {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()?;
        if !(1..=HOLD_SECONDS_MAX).contains(&self.expires_in_s) {
            let detail = format!("`expires_in_s` must be between 1 and {HOLD_SECONDS_MAX}");
            return Err(Problem::malformed("/expires_in_s", detail));
        }
        let posting = Posting {
            source: self.from,
            destination: self.to,
            asset: self.asset,
            amount: self.amount,
        };
        let reservation = posting
            .try_into()
            .map_err(|_| Problem::malformed("/to", "`from` and `to` must be different accounts"))?;
        Ok(Act::PlaceHold(Box::new(HoldRequest {
            id: random::hold_id(),
            reservation,
            expires_in_s: self.expires_in_s,
            on_expiry: self.on_expiry,
            authority: authority(caller),
            cap: caller.transfer_cap(),
        })))
    }
}

/// `POST …/holds`
pub(super) async fn place(request: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: HoldBody, caller: &Caller, _| body.into_act(caller);
    perform(request, Scope::Transfer, "holds", read).await
}

/// The parts of a request about one hold.
type HoldParts = (
    State<Api>,
    Caller,
    Path<(String, String)>,
    Query<Preview>,
    KeyHeader,
    Body,
);

/// `POST …/holds/{hold}/capture`
pub(super) async fn capture(
    (State(api), caller, Path((economy, hold)), Query(preview), key, body): HoldParts,
) -> Result<Response, Problem> {
    let (economy, hold) = names(&caller, &economy, &hold)?;
    let Parsed { typed, canonical } = extract::json::<CaptureBody>(body).await?;
    caller.unchanged(&api)?;
    Annotations {
        memo: typed.memo.as_ref(),
        reference: typed.reference.as_ref(),
        metadata: typed.metadata.as_ref(),
    }
    .check()?;
    let act = Act::CaptureHold(CaptureRequest {
        id: random::transfer_id(),
        hold,
        amount: typed.amount,
        ended: end_of(&api, &economy, hold).await?,
        authority: authority(&caller),
        cap: caller.transfer_cap(),
    });
    let submission = ActSubmission {
        path: format!("/v1/economies/{economy}/holds/{hold}/capture"),
        economy,
        canonical,
        act,
    };
    submit(&api, &caller, preview, key, submission).await
}

/// `POST …/holds/{hold}/release`
pub(super) async fn release(
    (State(api), caller, Path((economy, hold)), Query(preview), key, body): HoldParts,
) -> Result<Response, Problem> {
    let (economy, hold) = names(&caller, &economy, &hold)?;
    let Parsed { typed, canonical } = extract::json::<ReleaseBody>(body).await?;
    caller.unchanged(&api)?;
    Annotations {
        memo: typed.memo.as_ref(),
        ..Annotations::default()
    }
    .check()?;
    let ended = end_of(&api, &economy, hold).await?;
    let submission = ActSubmission {
        path: format!("/v1/economies/{economy}/holds/{hold}/release"),
        economy,
        canonical,
        act: Act::ReleaseHold {
            hold,
            ended,
            authority: authority(&caller),
        },
    };
    submit(&api, &caller, preview, key, submission).await
}

fn names(caller: &Caller, economy: &str, hold: &str) -> Result<(EconomyId, HoldId), Problem> {
    let economy = extract::economy(economy)?;
    caller.require(Scope::Transfer, &economy)?;
    Ok((economy, hold_id(hold)?))
}

fn hold_id(text: &str) -> Result<HoldId, Problem> {
    extract::name::<Uuid>("hold", text).map(HoldId)
}

/// Returns the way in which a hold ended, or none if it is open. A hold that never existed is a
/// problem. Open holds are in memory, ended ones in the log.
async fn end_of(api: &Api, economy: &EconomyId, hold: HoldId) -> Result<Option<HoldEnd>, Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    if books.hold(hold).is_some() {
        return Ok(None);
    }
    let history = history(api, economy, hold).await?;
    Ok(history.ended.map(|(end, _)| end))
}

/// Reads the history of a hold from the log.
async fn history(api: &Api, economy: &EconomyId, hold: HoldId) -> Result<HoldHistory, Problem> {
    let economy = economy.clone();
    let read = api
        .service
        .read(move |storage| storage.hold(&economy, hold));
    read.await?.ok_or_else(|| {
        let detail = format!("the economy has no hold {hold}");
        Problem::new(Code::HoldNotFound, detail)
    })
}

/// The query of a list of holds. A cursor contains the account, so both cannot be sent together.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HoldsQuery {
    /// Returns only holds from or to this account.
    #[schemars(with = "schemas::AccountName")]
    account: Option<String>,
    /// The greatest number of holds in the page. Default 50.
    #[schemars(with = "usize", range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The place at which the page begins: `next_cursor` of the previous page.
    #[schemars(with = "String")]
    cursor: Option<String>,
}

/// A page of open holds.
#[derive(Serialize, JsonSchema)]
struct HoldList<'a> {
    holds: Vec<HoldView<'a>>,
    /// The value of `cursor` for the next page; null after the last page.
    next_cursor: Option<String>,
}

/// The content of a cursor: the last hold of the page, and the account of the list.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldsCursor {
    after: HoldId,
    account: Option<AccountId>,
}

/// `GET …/holds`: the open holds, oldest first.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Query(query): Query<HoldsQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let limit = query.limit.unwrap_or(HOLDS);
    if !(1..=HOLDS_PAGE_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {HOLDS_PAGE_MAX}");
        return Err(wrong("limit", &detail));
    }
    let account = query.account.as_ref().map(|account| {
        let read = account.parse();
        read.map_err(|_| wrong("account", "this is not a valid name of an account"))
    });
    let (account, after) = match (&query.cursor, account.transpose()?) {
        (None, account) => (account, None),
        (Some(_), Some(_)) => {
            let detail = "a cursor contains the account; do not send `account` again";
            return Err(wrong("cursor", detail));
        }
        (Some(text), None) => {
            let opened = cursor::open::<HoldsCursor>(text);
            let opened = opened.ok_or_else(|| {
                wrong(
                    "cursor",
                    "this is not a cursor of a list of \
                                                               holds; use `next_cursor` of the \
                                                               previous page",
                )
            })?;
            (opened.account, Some(opened.after))
        }
    };
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let mut found = books.holds_after(account.as_ref(), after);
    let page: Vec<(HoldId, &Hold)> = found
        .by_ref()
        .take(limit)
        .map(|(id, hold)| (id, &**hold))
        .collect();
    let after = found.next().and(page.last()).map(|(id, _)| *id);
    let next_cursor = after.map(|after| {
        cursor::seal(&HoldsCursor {
            after,
            account: account.clone(),
        })
    });
    let holds = page.iter().map(|(id, hold)| views::hold(*id, hold));
    Ok(Json(views::to_json(HoldList {
        holds: holds.collect(),
        next_cursor,
    })))
}

/// `GET …/holds/{hold}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, hold)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id = hold_id(&hold)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if let Some(hold) = books.hold(id) {
        return Ok(Json(views::to_json(views::hold(id, hold))));
    }
    let history = history(&api, &economy, id).await?;
    Ok(Json(views::to_json(views::past_hold(id, &history))))
}

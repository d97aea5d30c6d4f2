//! Holds: placed, listed, captured in parts, released. Their end by time is the writer's.

mod routes;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
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
use super::extract::{Parsed, Path, Preview, Query, wrong_query as wrong};
use super::problem::Problem;
use super::transfers::{MoneyRequest, Submitted, Words, authority, perform, submit};
use super::{Api, cursor, extract};
use crate::random;
use crate::service::error::ServiceError;

pub(super) use routes::{CONFLICTS, REFUSALS, routes};

/// Holds in a page where nothing is said.
const HOLDS: usize = 50;

/// Holds in a page at most.
const HOLDS_PAGE_MAX: usize = 200;

/// An amount to reserve.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldBody {
    /// The account on which it is reserved.
    #[schemars(with = "schemas::AccountName")]
    from: AccountId,
    /// The account that gets what is captured.
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
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
}

/// What is to be captured of a hold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureBody {
    /// How much; all that is left where it is not said.
    #[schemars(with = "Option<schemas::Amount>")]
    amount: Option<Amount>,
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
}

/// What is said of a release.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
}

impl HoldBody {
    fn into_act(self, caller: &Caller) -> Result<Act, Problem> {
        Words {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()?;
        if !(1..=HOLD_SECONDS_MAX).contains(&self.expires_in_s) {
            let detail = format!("a hold ends after 1 to {HOLD_SECONDS_MAX} seconds");
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
            .map_err(|_| Problem::malformed("/to", "`from` and `to` are the same account"))?;
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
pub(super) async fn place(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: HoldBody, caller: &Caller, _| body.into_act(caller);
    perform(asked, Scope::Transfer, "holds", read).await
}

/// A request about one hold.
type OfHold = (
    State<Api>,
    Caller,
    Path<(String, String)>,
    Query<Preview>,
    HeaderMap,
    Body,
);

/// `POST …/holds/{hold}/capture`
pub(super) async fn capture(
    (State(api), caller, Path((economy, hold)), Query(preview), headers, body): OfHold,
) -> Result<Response, Problem> {
    let (economy, hold) = names(&caller, &economy, &hold)?;
    let Parsed { typed, canonical } = extract::json::<CaptureBody>(body).await?;
    caller.unchanged(&api)?;
    Words {
        memo: typed.memo.as_ref(),
        reference: typed.reference.as_ref(),
        metadata: typed.metadata.as_ref(),
    }
    .check()?;
    let act = Act::CaptureHold(CaptureRequest {
        id: random::transfer_id(),
        hold,
        amount: typed.amount,
        ended: known(&api, &economy, hold).await?,
        authority: authority(&caller),
        cap: caller.transfer_cap(),
    });
    let submitted = Submitted {
        route: format!("/v1/economies/{economy}/holds/{hold}/capture"),
        economy,
        canonical,
        act,
    };
    submit(&api, &caller, preview, &headers, submitted).await
}

/// `POST …/holds/{hold}/release`
pub(super) async fn release(
    (State(api), caller, Path((economy, hold)), Query(preview), headers, body): OfHold,
) -> Result<Response, Problem> {
    let (economy, hold) = names(&caller, &economy, &hold)?;
    let Parsed { typed, canonical } = extract::json::<ReleaseBody>(body).await?;
    caller.unchanged(&api)?;
    Words {
        memo: typed.memo.as_ref(),
        ..Words::default()
    }
    .check()?;
    let ended = known(&api, &economy, hold).await?;
    let submitted = Submitted {
        route: format!("/v1/economies/{economy}/holds/{hold}/release"),
        economy,
        canonical,
        act: Act::ReleaseHold {
            hold,
            ended,
            authority: authority(&caller),
        },
    };
    submit(&api, &caller, preview, &headers, submitted).await
}

fn names(caller: &Caller, economy: &str, hold: &str) -> Result<(EconomyId, HoldId), Problem> {
    let economy = extract::economy(economy)?;
    caller.require(Scope::Transfer, &economy)?;
    Ok((economy, hold_id(hold)?))
}

fn hold_id(text: &str) -> Result<HoldId, Problem> {
    extract::name::<Uuid>("hold", text).map(HoldId)
}

/// How a hold ended, if it has; a problem if there never was one. What is open is in the state, and
/// what has ended is in the journal.
async fn known(api: &Api, economy: &EconomyId, hold: HoldId) -> Result<Option<HoldEnd>, Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    if books.hold(hold).is_some() {
        return Ok(None);
    }
    let history = history(api, economy, hold).await?;
    Ok(history.ended.map(|(end, _)| end))
}

/// What the journal says of a hold.
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

/// What is asked of the list. With a cursor nothing else is said: the filter is in it.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HoldsQuery {
    /// Only holds on this account or for it.
    #[schemars(with = "schemas::AccountName")]
    account: Option<String>,
    /// Holds in the page; 50 unless said.
    #[schemars(with = "usize", range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Where to go on: `next_cursor` of the page before.
    #[schemars(with = "String")]
    cursor: Option<String>,
}

/// A page of open holds.
#[derive(Serialize, JsonSchema)]
struct HoldList<'a> {
    holds: Vec<HoldView<'a>>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// What a cursor says: after which hold to go on, and whose are wanted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    after: HoldId,
    account: Option<AccountId>,
}

/// `GET …/holds`: those that are open, oldest first.
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
        let detail = format!("a page has 1 to {HOLDS_PAGE_MAX} holds");
        return Err(wrong("limit", &detail));
    }
    let account = query.account.as_ref().map(|account| {
        let read = account.parse();
        read.map_err(|_| wrong("account", "this is not the name of an account"))
    });
    let (account, after) = match (&query.cursor, account.transpose()?) {
        (None, account) => (account, None),
        (Some(_), Some(_)) => {
            let detail = "a cursor has its account in it: say no other";
            return Err(wrong("cursor", detail));
        }
        (Some(text), None) => {
            let opened = cursor::open::<Cursor>(text);
            let opened = opened.ok_or_else(|| wrong("cursor", "this is no cursor of holds"))?;
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
        cursor::seal(&Cursor {
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

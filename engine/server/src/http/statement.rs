//! The route that returns an account's statement: its movements, newest first, with the balance
//! after each.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{
    AccountId, Act, AssetId, CallId, HoldId, PluginName, Scope, Timestamp, TransferId,
};
use bursar_storage::{ENTRIES_MAX, HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::route::Route;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{self, Path, Query, wrong_query as wrong};
use super::position::Position;
use super::problem::Problem;
use super::{Api, cursor};
use crate::service::error::ServiceError;

/// The default number of entries in a page.
const ENTRIES: usize = 50;

/// The kinds of acts that move amounts.
pub(super) const KINDS: [&str; 8] = [
    "transfer",
    "batch",
    "reversal",
    "capture_hold",
    "expire_hold",
    "issue",
    "burn",
    "call",
];

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/accounts/{account}/statement", read)
        .operation(
            "get_statement",
            "Get a statement",
            "Returns the movements on an account, newest first, with the balance after each. To \
             read the next page, send `next_cursor` as `cursor`, without filters.",
        )
        .needs(Scope::Read)
        .pages("limit", "entries", ENTRIES, ENTRIES_MAX)
        .query::<StatementQuery>()
        .answers::<StatementView<'static>>(StatusCode::OK, "A page of entries.")
        .example(json!({
            "account": "user:1", "next_cursor": null,
            "entries": [{
                "seq": 7, "recorded_at": 1_764_025_200_000_u64, "kind": "transfer", "asset": "coin",
                "change": -30, "balance": 170, "counterparty": "user:2", "actor": "admin",
                "idempotency_key": "pay-1", "transfer": "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f",
            }],
        }))
        .error(StatusCode::NOT_FOUND, &["account_not_found"])
        .error(
            StatusCode::CONFLICT,
            &["position_past_head", "history_changed"],
        )
        .reads_the_file()
}

/// The query of a statement. A cursor contains the filters, so both cannot be sent together.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StatementQuery {
    /// The place at which the page begins: `next_cursor` of the previous page.
    #[schemars(with = "String")]
    cursor: Option<String>,
    /// The greatest number of entries in the page. Default 50.
    #[schemars(with = "usize", range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Returns only movements of this asset.
    #[schemars(with = "schemas::AssetName")]
    asset: Option<String>,
    /// Returns only movements between the account and this one.
    #[schemars(with = "schemas::AccountName")]
    counterparty: Option<String>,
    /// Returns only movements of this kind of act.
    #[schemars(with = "String", extend("enum" = KINDS))]
    kind: Option<String>,
    /// Returns only transfers with this reference.
    #[schemars(with = "String")]
    reference: Option<String>,
    /// Returns only movements that were recorded before this time.
    #[schemars(with = "schemas::Timestamp")]
    before: Option<u64>,
    /// Returns only movements that were recorded after this time.
    #[schemars(with = "schemas::Timestamp")]
    after: Option<u64>,
}

/// The content of a cursor: the place at which the next page begins, and the filters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementCursor {
    next: u64,
    /// The newest record when the page was created. In another history the cursor would point to
    /// the wrong place.
    seen: Position,
    filter: HistoryFilter,
}

/// Checks a time in the query.
fn moment(parameter: &str, moment: Option<u64>) -> Result<Option<Timestamp>, Problem> {
    let moment = moment.map(|moment| extract::number(parameter, moment));
    Ok(moment.transpose()?.map(Timestamp))
}

impl StatementQuery {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(ENTRIES) {
            limit @ 1..=ENTRIES_MAX => Ok(limit),
            _ => Err(wrong(
                "limit",
                &format!("must be between 1 and {ENTRIES_MAX}"),
            )),
        }
    }

    fn filter(&self) -> Result<HistoryFilter, Problem> {
        let name = |what: &str, text: &String| {
            let read = extract::name::<AccountId>(what, text);
            read.map_err(|_| wrong(what, "this is not a valid name of an account"))
        };
        let asset = self.asset.as_ref().map(|asset| {
            let read = asset.parse();
            read.map_err(|_| wrong("asset", "this is not a valid name of an asset"))
        });
        let counterparty = self.counterparty.as_ref();
        if let Some(kind) = &self.kind
            && !KINDS.contains(&kind.as_str())
        {
            return Err(wrong(
                "kind",
                &format!("must be one of {}", KINDS.join(", ")),
            ));
        }
        Ok(HistoryFilter {
            asset: asset.transpose()?,
            counterparty: counterparty
                .map(|account| name("counterparty", account))
                .transpose()?,
            kind: self.kind.clone(),
            reference: self.reference.clone(),
            before: moment("before", self.before)?,
            after: moment("after", self.after)?,
        })
    }
}

/// `GET …/accounts/{account}/statement`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
    Query(query): Query<StatementQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let limit = query.limit()?;
    let requested = query.filter()?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if books.account(&account).is_none() {
        return Err(Problem::no_account(&account));
    }
    let no_cursor = || {
        wrong(
            "cursor",
            "this is not a cursor of this statement; use `next_cursor` \
                                        of the previous page",
        )
    };
    let (from, filter) = match &query.cursor {
        None => (None, requested),
        Some(_) if requested != HistoryFilter::default() => {
            return Err(wrong(
                "cursor",
                "a cursor contains the filters; do not send them again",
            ));
        }
        Some(text) => {
            let cursor: StatementCursor = cursor::open(text).ok_or_else(no_cursor)?;
            cursor.seen.check(&api.service, &economy, books).await?;
            (Some(cursor.next), cursor.filter)
        }
    };
    let query = HistoryQuery {
        economy,
        account: account.clone(),
        filter: filter.clone(),
        steps_back: books.steps_back().iter().copied().collect(),
        from,
        limit,
    };
    let page = api.service.read(move |storage| storage.history(&query));
    let page = page.await?.ok_or_else(no_cursor)?;
    let seen = Position::of_head(books);
    Ok(Json(statement(&account, &page, seen, &filter)))
}

/// A page of an account's movements.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Statement")]
struct StatementView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    entries: Vec<EntryView<'a>>,
    /// The value of `cursor` for the next page; null after the last page.
    next_cursor: Option<String>,
}

fn statement(
    account: &AccountId,
    page: &HistoryPage,
    seen: Position,
    filter: &HistoryFilter,
) -> Value {
    let entries = page.entries.iter().map(|found| entry(account, found));
    let next_cursor = page.next.map(|next| {
        let filter = filter.clone();
        cursor::seal(&StatementCursor { next, seen, filter })
    });
    views::to_json(StatementView {
        account,
        entries: entries.collect(),
        next_cursor,
    })
}

/// The id under which a movement can be read.
enum Origin {
    Transfer(TransferId),
    Call(CallId),
    Hold(HoldId),
    None,
}

fn origin(act: &Act, part: u32) -> Origin {
    match act {
        Act::Transfer(request) => Origin::Transfer(request.id),
        Act::Batch(request) => {
            let part = usize::try_from(part).unwrap_or(usize::MAX);
            let found = request.transfers.as_slice().get(part);
            found.map_or(Origin::None, |request| Origin::Transfer(request.id))
        }
        Act::Reverse(request) => Origin::Transfer(request.id),
        Act::CaptureHold(request) => Origin::Transfer(request.id),
        Act::ExpireHold { hold } => Origin::Hold(*hold),
        Act::Issue(request) | Act::Burn(request) => Origin::Transfer(request.id),
        Act::Call(result) => Origin::Call(result.request.id),
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
        | Act::SetQuotas { .. }
        | Act::PlaceHold(_)
        | Act::ReleaseHold { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::SetPlugin { .. }
        | Act::RemovePlugin { .. }
        | Act::RollBackPlugin { .. }
        | Act::SwitchOffPlugin { .. }
        | Act::SkipDue { .. }
        | Act::SetClientSeed { .. }
        | Act::RotateSeed
        | Act::RevealSeeds { .. }
        | Act::BurnNonces { .. }
        | Act::SetClock { .. }
        | Act::ExtendHolds { .. }
        | Act::SetKey { .. }
        | Act::AddComponent { .. }
        | Act::SetWebhook(_)
        | Act::RemoveWebhook { .. }
        | Act::ReplayWebhook { .. } => Origin::None,
    }
}

/// A movement on an account: the change, the balance after it, and the counterparty.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatementEntry")]
struct EntryView<'a> {
    /// The number of the record in the economy's log.
    seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    recorded_at: Timestamp,
    /// The kind of the act that moved the amount.
    #[schemars(extend("enum" = KINDS))]
    kind: &'static str,
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    /// The change of the balance.
    #[schemars(with = "schemas::Units")]
    change: i64,
    /// The posted balance after the movement.
    #[schemars(with = "schemas::Units")]
    balance: i64,
    #[schemars(with = "schemas::AccountName")]
    counterparty: &'a AccountId,
    /// The name of the API key that sent the request.
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::IdempotencyKey")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    memo: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    reference: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<&'a Value>,
    /// The time at which the movement took effect outside of Bursar, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schemas::Timestamp>")]
    effective_at: Option<&'a Value>,
    /// The transfer that contains the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    transfer: Option<TransferId>,
    /// The call that contains the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    call: Option<CallId>,
    /// The hold that expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    hold: Option<HoldId>,
    /// The plugin that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::PluginName")]
    plugin: Option<&'a PluginName>,
}

fn entry<'a>(account: &AccountId, found: &'a HistoryEntry) -> EntryView<'a> {
    let posting = &found.movement.posting;
    let given = posting.source == *account;
    let units = i64::try_from(posting.amount.get()).unwrap_or(i64::MAX);
    let (change, balance, counterparty) = if given {
        (-units, found.movement.source_after, &posting.destination)
    } else {
        (units, found.movement.destination_after, &posting.source)
    };
    let (transfer, call, hold) = match origin(&found.context.act, found.movement.part) {
        Origin::Transfer(id) => (Some(id), None, None),
        Origin::Call(id) => (None, Some(id), None),
        Origin::Hold(id) => (None, None, Some(id)),
        Origin::None => (None, None, None),
    };
    let words = found.words();
    let annotation = |name: &str| words.and_then(|words| words.get(name));
    EntryView {
        seq: found.seq,
        recorded_at: found.recorded_at,
        kind: found.context.act.kind(),
        asset: &posting.asset,
        change,
        balance,
        counterparty,
        actor: &found.actor,
        idempotency_key: found.key.as_deref(),
        memo: annotation("memo"),
        reference: annotation("reference"),
        metadata: annotation("metadata"),
        effective_at: annotation("effective_at"),
        transfer,
        call,
        hold,
        plugin: match &found.context.act {
            Act::Call(result) => Some(&result.request.plugin),
            _ => None,
        },
    }
}

//! An account's statement: what moved on it, newest first, with the balance after each movement.

use axum::Json;
use axum::extract::State;
use bursar_ledger::{AccountId, Act, CallId, Scope, Timestamp, TransferId};
use bursar_storage::{ENTRIES_MAX, HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::extract::{self, Asked, Path, wrong_query as wrong};
use super::problem::Problem;
use crate::economy::blocking;
use crate::no_answer::NoAnswer;

/// Entries in a page where nothing is said.
const ENTRIES: usize = 50;

/// Kinds of acts that move something.
const KINDS: [&str; 4] = ["transfer", "issue", "burn", "call"];

/// What is asked for. With a cursor nothing else is said: the filters are in it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StatementQuery {
    cursor: Option<String>,
    limit: Option<usize>,
    asset: Option<String>,
    counterparty: Option<String>,
    kind: Option<String>,
    reference: Option<String>,
    before: Option<u64>,
    after: Option<u64>,
}

/// What a cursor says: where to go on, and what is wanted from there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    next: u64,
    filter: HistoryFilter,
}

impl Cursor {
    /// A text that is nobody's business but ours.
    fn seal(&self) -> String {
        hex::encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn open(text: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(text).ok()?).ok()
    }
}

/// A moment that the query names.
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
                &format!("a page has 1 to {ENTRIES_MAX} entries"),
            )),
        }
    }

    fn filter(&self) -> Result<HistoryFilter, Problem> {
        let name = |what: &str, text: &String| {
            let read = extract::name::<AccountId>(what, text);
            read.map_err(|_| wrong(what, "this is not the name of an account"))
        };
        let asset = self.asset.as_ref().map(|asset| {
            let read = asset.parse();
            read.map_err(|_| wrong("asset", "this is not the name of an asset"))
        });
        let counterparty = self.counterparty.as_ref();
        if let Some(kind) = &self.kind
            && !KINDS.contains(&kind.as_str())
        {
            return Err(wrong(
                "kind",
                &format!("a kind is one of {}", KINDS.join(", ")),
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
    Asked(query): Asked<StatementQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let limit = query.limit()?;
    let asked = query.filter()?;
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let found = books.account(&account).ok_or_else(|| {
        let detail = format!("the economy has no account `{account}`");
        Problem::not_found("account_not_found", detail)
    })?;
    let no_cursor = || wrong("cursor", "this is no cursor of this statement");
    let (from, filter) = match &query.cursor {
        None => (found.newest, asked),
        Some(_) if asked != HistoryFilter::default() => {
            return Err(wrong(
                "cursor",
                "a cursor has its filters in it: say no others",
            ));
        }
        Some(text) => {
            let Cursor { next, filter } = Cursor::open(text).ok_or_else(no_cursor)?;
            (Some(next), filter)
        }
    };
    let query = HistoryQuery {
        economy,
        account: account.clone(),
        filter: filter.clone(),
        from,
        limit,
    };
    let storage = api.bursar.storage().clone();
    let page = blocking(move || storage.history(&query)).await?;
    let page = page.map_err(NoAnswer::Unreadable)?.ok_or_else(no_cursor)?;
    Ok(Json(statement(&account, &page, &filter)))
}

fn statement(account: &AccountId, page: &HistoryPage, filter: &HistoryFilter) -> Value {
    let entries = page.entries.iter().map(|found| entry(account, found));
    let cursor = page.next.map(|next| {
        let filter = filter.clone();
        Cursor { next, filter }.seal()
    });
    json!({
        "account": account,
        "entries": entries.collect::<Vec<_>>(),
        "next_cursor": cursor,
    })
}

/// The id under which a movement can be asked about.
enum Origin {
    Transfer(TransferId),
    Call(CallId),
    None,
}

fn origin(act: &Act) -> Origin {
    match act {
        Act::Transfer(request) => Origin::Transfer(request.id),
        Act::Issue(request) | Act::Burn(request) => Origin::Transfer(request.id),
        Act::Call(result) => Origin::Call(result.request.id),
        Act::OpenEconomy { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::SetPlugin { .. }
        | Act::SetKey { .. }
        | Act::AddComponent { .. } => Origin::None,
    }
}

/// One line: how the account changed, what it has since, with whom, and why.
fn entry(account: &AccountId, found: &HistoryEntry) -> Value {
    let posting = &found.movement.posting;
    let given = posting.source == *account;
    let units = i64::try_from(posting.amount.get()).unwrap_or(i64::MAX);
    let (change, balance, counterparty) = if given {
        (-units, found.movement.source_after, &posting.destination)
    } else {
        (units, found.movement.destination_after, &posting.source)
    };
    let mut line = json!({
        "seq": found.seq,
        "recorded_at": found.recorded_at,
        "kind": found.act.kind(),
        "asset": posting.asset,
        "change": change,
        "balance": balance,
        "counterparty": counterparty,
        "actor": found.actor,
    });
    let more = [
        ("idempotency_key", found.key.clone().map(Value::from)),
        ("memo", found.request.pointer("/body/memo").cloned()),
        (
            "reference",
            found.request.pointer("/body/reference").cloned(),
        ),
        ("metadata", found.request.pointer("/body/metadata").cloned()),
        match origin(&found.act) {
            Origin::Transfer(id) => ("transfer", Some(json!(id))),
            Origin::Call(id) => ("call", Some(json!(id))),
            Origin::None => ("transfer", None),
        },
        match &found.act {
            Act::Call(result) => ("plugin", Some(json!(result.request.plugin))),
            _ => ("plugin", None),
        },
    ];
    if let Some(line) = line.as_object_mut() {
        let given = more
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        line.extend(given.map(|(name, value)| (name.to_owned(), value)));
    }
    line
}

//! The route that issues opening balances from a list, in portions. `bursar import --balances` uses
//! it while a server runs.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{AMOUNT_MAX, AccountId, Amount, AssetId, Books, Limit, Quota, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::api::route::{JSON, Route};
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, NoParameters, Path, Query};
use super::problem::Problem;
use super::transfers::{MEMO_CHARS_MAX, check_effective, check_text};
use crate::service::error::ServiceError;
use crate::service::{OpeningList, OpeningRow, RowOutcome};

/// The greatest number of rows in one request.
pub(crate) const OPENING_ROWS_MAX: usize = 1_024;

/// The largest body of one request, in bytes.
const OPENING_BYTES_MAX: usize = 4 << 20;

/// The greatest length of a list's name, in characters.
pub(crate) const LIST_CHARS_MAX: usize = 64;

pub(super) fn route() -> Route {
    Route::post("/v1/economies/{economy}/opening-balances", bring_in)
        .operation(
            "issue_opening_balances",
            "Issue opening balances",
            "Issues the amounts of a list, one row for each account and asset. `bursar import \
             --balances` sends this request if a server uses the file. Each row of a list is \
             issued at most once, however often it is sent, so an interrupted import can be \
             repeated. Missing accounts are created.",
        )
        .needs_the_owner()
        .body::<OpeningBody>(
            "two_members",
            json!({ "list": "members", "rows": [
                { "account": "user:1", "asset": "coin", "amount": 100 },
                { "account": "user:2", "asset": "coin", "amount": 20, "memo": "from before" },
            ]}),
        )
        .or_body(
            "check",
            json!({ "list": "members", "dry_run": true, "rows": [
                { "account": "user:1", "asset": "coin", "amount": 100 },
            ]}),
        )
        .bytes::<OpeningBody>(JSON, OPENING_BYTES_MAX)
        .answers::<OpeningReport>(
            StatusCode::OK,
            "One outcome for each row, in the same order.",
        )
        .example(json!({
            "rows": [
                { "outcome": "issued" },
                { "outcome": "differs", "issued": 30 },
            ],
            "assets_left": { "coin": 9_007_199_254_740_861_u64 },
            "accounts_left": 249_998,
        }))
        .writes()
}

/// Rows of a list of opening balances.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningBody {
    /// The name of the list. It becomes the `reference` of each transfer.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")
    )]
    pub(crate) list: String,
    /// The rows. Each pair of account and asset may occur once.
    #[schemars(length(min = 1, max = 1024))]
    pub(crate) rows: Vec<OpeningRowBody>,
    /// Returns the outcomes without issuing anything.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(crate) dry_run: bool,
    /// Issues a row even if a row of another list was issued for its account and asset.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(crate) force: bool,
}

/// A row of a list of opening balances.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningRowBody {
    #[schemars(with = "schemas::AccountName")]
    pub(crate) account: AccountId,
    #[schemars(with = "schemas::AssetName")]
    pub(crate) asset: AssetId,
    #[schemars(with = "schemas::Amount")]
    pub(crate) amount: Amount,
    /// The time at which the account had this balance outside of Bursar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schemas::Timestamp>")]
    pub(crate) effective_at: Option<Timestamp>,
    /// The reason, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub(crate) memo: Option<String>,
}

impl From<OpeningRowBody> for OpeningRow {
    fn from(body: OpeningRowBody) -> Self {
        let OpeningRowBody {
            account,
            asset,
            amount,
            effective_at,
            memo,
        } = body;
        Self {
            account,
            asset,
            amount,
            effective_at,
            memo,
        }
    }
}

impl From<OpeningRow> for OpeningRowBody {
    fn from(row: OpeningRow) -> Self {
        let OpeningRow {
            account,
            asset,
            amount,
            effective_at,
            memo,
        } = row;
        Self {
            account,
            asset,
            amount,
            effective_at,
            memo,
        }
    }
}

/// The outcomes of rows, and the remaining capacity.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct OpeningReport {
    /// The outcomes, one for each row.
    pub(crate) rows: Vec<RowReport>,
    /// The amount that can still be issued, for each existing asset that the rows name.
    #[schemars(with = "BTreeMap<String, schemas::Limit>")]
    pub(crate) assets_left: BTreeMap<AssetId, u64>,
    /// The number of accounts that can still be created.
    #[schemars(with = "schemas::Limit")]
    pub(crate) accounts_left: u64,
}

/// The outcome of a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum RowReport {
    /// Dry run: the row can be issued.
    Ready {
        /// True if its account would be created.
        makes_account: bool,
    },
    /// The row was issued by this request.
    Issued,
    /// The row was issued by an earlier request.
    Done,
    /// A row of this list was issued earlier with another amount; nothing has moved.
    Differs {
        /// The amount that was issued.
        #[schemars(with = "schemas::Amount")]
        issued: u64,
    },
    /// A row of another list was issued for this account and asset; nothing has moved.
    Elsewhere {
        /// The name of that list.
        list: String,
        /// The amount that was issued.
        #[schemars(with = "schemas::Amount")]
        issued: u64,
    },
    /// The ledger rejected the row.
    Refused {
        /// The reason for the rejection.
        detail: String,
    },
}

impl From<RowOutcome> for RowReport {
    fn from(outcome: RowOutcome) -> Self {
        match outcome {
            RowOutcome::Ready { makes_account } => Self::Ready { makes_account },
            RowOutcome::Issued => Self::Issued,
            RowOutcome::Done => Self::Done,
            RowOutcome::Differs { issued } => Self::Differs { issued },
            RowOutcome::Elsewhere { list, issued } => Self::Elsewhere { list, issued },
            RowOutcome::Refused { detail } => Self::Refused { detail },
        }
    }
}

/// `POST …/opening-balances`. It requires no idempotency key, because each row has its own.
async fn bring_in(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Answer<OpeningReport>, Problem> {
    caller.require_owner()?;
    let economy = extract::economy(&economy)?;
    let bytes = extract::read(body, OPENING_BYTES_MAX).await?;
    let body: OpeningBody = extract::parsed(&bytes)?.typed;
    caller.unchanged(&api)?;
    check(&body, api.service.now())?;
    let dry_run = body.dry_run;
    let rows = body.rows.into_iter().map(Into::into);
    let list = OpeningList {
        economy: economy.clone(),
        list: body.list,
        rows: rows.collect(),
        force: body.force,
    };
    let assets: Vec<AssetId> = list.rows.iter().map(|row| row.asset.clone()).collect();
    let outcomes = if dry_run {
        api.service.check_opening(list).await?
    } else {
        api.service.issue_opening(list).await?
    };
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let report = OpeningReport::of(outcomes, books, assets, api.service.now());
    Ok(Answer(report))
}

impl OpeningReport {
    /// Builds the report of outcomes, with the remaining capacity of the books.
    pub(crate) fn of(
        outcomes: Vec<RowOutcome>,
        books: &Books,
        assets: Vec<AssetId>,
        now: Timestamp,
    ) -> Self {
        let left = |asset: AssetId| {
            let known = books.asset(&asset)?;
            let most = known.max_supply.map_or(AMOUNT_MAX, Limit::get);
            let supply = u64::try_from(books.supply(&asset)).unwrap_or_default();
            Some((asset, most.saturating_sub(supply)))
        };
        Self {
            rows: outcomes.into_iter().map(Into::into).collect(),
            assets_left: assets.into_iter().filter_map(left).collect(),
            accounts_left: books
                .quota(Quota::Accounts)
                .saturating_sub(books.used(Quota::Accounts, now).unwrap_or_default()),
        }
    }
}

/// Returns true if the text is a valid name of a list.
pub(crate) fn is_list_name(name: &str) -> bool {
    (1..=LIST_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn check(body: &OpeningBody, now: Timestamp) -> Result<(), Problem> {
    if !is_list_name(&body.list) {
        let detail = format!("`list` must have 1 to {LIST_CHARS_MAX} printable characters");
        return Err(Problem::malformed("/list", detail));
    }
    if !(1..=OPENING_ROWS_MAX).contains(&body.rows.len()) {
        let detail = format!("`rows` must have 1 to {OPENING_ROWS_MAX} rows");
        return Err(Problem::malformed("/rows", detail));
    }
    let mut seen = BTreeSet::new();
    for (place, row) in body.rows.iter().enumerate() {
        if !seen.insert((&row.account, &row.asset)) {
            let detail = format!(
                "`{}` occurs twice with the asset {}",
                row.account, row.asset
            );
            return Err(Problem::malformed(&format!("/rows/{place}"), detail));
        }
        let within = |problem: Problem| problem.within(&format!("/rows/{place}"));
        check_text("/memo", row.memo.as_ref(), MEMO_CHARS_MAX).map_err(within)?;
        check_effective(row.effective_at, now).map_err(within)?;
    }
    Ok(())
}

//! The routes that read and reverse single transfers.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{
    Act, Force, HoldId, PluginName, Postings, REASON_CHARS_MAX, Reversal, ReversalRequest, Scope,
    Timestamp, TransferId,
};
use bursar_storage::SubjectRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::codes::Code;
use super::api::route::Route;
use super::api::views::MovementsView;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{KeyHeader, Parsed, Path, Preview, Query};
use super::money::{REVERSAL_CONFLICTS, moves_money};
use super::problem::Problem;
use super::render::{ReversalPreview, ReversalView};
use super::transfers::{ActSubmission, Annotations, authority, check_text, submit};
use super::{Api, extract, statement};
use crate::random;
use crate::service::error::ServiceError;

pub(super) fn read_route() -> Route {
    Route::get("/v1/economies/{economy}/transfers/{transfer}", read)
        .operation(
            "get_transfer",
            "Get a transfer",
            "Returns the movements of a transfer, an issue, a burn, a capture or a call, and its \
             reversal if there is one.",
        )
        .needs(Scope::Read)
        .answers::<RecordView<'static>>(StatusCode::OK, "The transfer.")
        .error(StatusCode::NOT_FOUND, &["transfer_not_found"])
        .reads_the_file()
}

pub(super) fn reverse_route() -> Route {
    let route = Route::post(
        "/v1/economies/{economy}/transfers/{transfer}/reverse",
        reverse,
    )
    .operation(
        "reverse_transfer",
        "Reverse a transfer",
        "Creates a new transfer with the opposite postings, linked to the original. A transfer can \
         be reversed once. If an account cannot pay the amount back, an administrator can force \
         the reversal beyond the limits of accounts, with a `reason`.",
    )
    .needs(Scope::Transfer)
    .body::<ReversalBody>("taken_back", json!({ "memo": "a mistake" }))
    .or_body(
        "forced",
        json!({ "force": true, "reason": "the item was bought with stolen money" }),
    )
    .answers::<ReversalView<'static>>(StatusCode::CREATED, "The transfer was reversed.")
    .error(StatusCode::NOT_FOUND, &["transfer_not_found"])
    .error(StatusCode::CONFLICT, REVERSAL_CONFLICTS);
    moves_money::<ReversalPreview>(route)
}

/// The terms of a reversal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReversalBody {
    /// Ignores the limits of accounts. Requires the scope `admin` and a `reason`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    force: bool,
    /// The reason for forcing the reversal. It is recorded.
    #[schemars(length(max = 256))]
    reason: Option<String>,
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

impl ReversalBody {
    fn check(&self) -> Result<(), Problem> {
        check_text("/reason", self.reason.as_ref(), REASON_CHARS_MAX)?;
        Annotations {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()
    }

    /// Returns the forced reversal's reason. A forced reversal requires one.
    fn force(self) -> Result<Option<Force>, Problem> {
        match (
            self.force,
            self.reason.filter(|reason| !reason.trim().is_empty()),
        ) {
            (false, None) => Ok(None),
            (true, Some(reason)) => Ok(Some(Force { reason })),
            (true, None) => Err(Problem::malformed(
                "/reason",
                "a forced reversal requires a `reason`",
            )),
            (false, Some(_)) => Err(Problem::malformed(
                "/reason",
                "`reason` is allowed with `\"force\": true` only; use `memo` otherwise",
            )),
        }
    }
}

/// `POST …/transfers/{transfer}/reverse`
pub(super) async fn reverse(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, transfer)): Path<(String, String)>,
    Query(preview): Query<Preview>,
    key: KeyHeader,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let original = transfer_id(&transfer)?;
    let Parsed { typed, canonical } = extract::json::<ReversalBody>(body).await?;
    caller.unchanged(&api)?;
    typed.check()?;
    let force = typed.force()?;
    if api.service.state().books(&economy).is_none() {
        return Err(ServiceError::NoEconomy.into());
    }
    if force.is_some() {
        caller.require(Scope::Admin, &economy)?;
    }
    let of = economy.clone();
    let moved = api
        .service
        .read(move |storage| storage.moved(&of, original));
    let postings = moved.await?.into_iter().map(|movement| movement.posting);
    let postings = Postings::new(postings.collect()).map_err(|_| not_found(original))?;
    let act = Act::Reverse(Box::new(ReversalRequest {
        id: random::transfer_id(),
        original,
        postings: postings.reversed(),
        authority: authority(&caller),
        force,
        cap: caller.transfer_cap(),
    }));
    let submission = ActSubmission {
        path: format!("/v1/economies/{economy}/transfers/{original}/reverse"),
        economy,
        canonical,
        act,
    };
    submit(&api, &caller, preview, key, submission).await
}

/// `GET …/transfers/{transfer}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, transfer)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id = transfer_id(&transfer)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let of = economy.clone();
    let made = api.service.read(move |storage| storage.transfer(&of, id));
    let made = made.await?.ok_or_else(|| not_found(id))?;
    Ok(Json(views::to_json(view(id, &made, books.reversal(id)))))
}

fn transfer_id(text: &str) -> Result<TransferId, Problem> {
    extract::name::<Uuid>("transfer", text).map(TransferId)
}

fn not_found(transfer: TransferId) -> Problem {
    let detail = format!("the economy has no transfer {transfer}");
    Problem::new(Code::TransferNotFound, detail)
}

/// A recorded transfer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TransferRecord")]
struct RecordView<'a> {
    #[schemars(with = "schemas::Uuid")]
    id: TransferId,
    /// The number of the record in the economy's log.
    seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    recorded_at: Timestamp,
    /// The kind of the act that moved the amounts.
    #[schemars(extend("enum" = statement::KINDS))]
    kind: &'static str,
    /// The name of the API key that sent the request.
    actor: &'a str,
    #[serde(flatten)]
    movements: MovementsView<'a>,
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
    /// The plugin that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::PluginName")]
    plugin: Option<&'a PluginName>,
    /// The hold from which the amount was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    hold: Option<HoldId>,
    /// The transfer that reversed this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    reversed_by: Option<TransferId>,
    /// The transfer that this one reversed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    reverses: Option<TransferId>,
}

fn view(id: TransferId, made: &SubjectRecord, reversal: Option<Reversal>) -> RecordView<'_> {
    let words = made.words();
    let annotation = |name: &str| words.and_then(|words| words.get(name));
    let (reversed_by, reverses) = match reversal {
        Some(Reversal::By(by)) => (Some(by), None),
        Some(Reversal::Of(of)) => (None, Some(of)),
        None => (None, None),
    };
    RecordView {
        id,
        seq: made.seq,
        recorded_at: made.recorded_at,
        kind: made.act.kind(),
        actor: &made.actor,
        movements: views::movements(&made.movements),
        idempotency_key: made.key.as_deref(),
        memo: annotation("memo"),
        reference: annotation("reference"),
        metadata: annotation("metadata"),
        plugin: match &made.act {
            Act::Call(result) => Some(&result.request.plugin),
            _ => None,
        },
        hold: match &made.act {
            Act::CaptureHold(capture) => Some(capture.hold),
            Act::ExpireHold { hold } => Some(*hold),
            _ => None,
        },
        reversed_by,
        reverses,
    }
}

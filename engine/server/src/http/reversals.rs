//! Transfers by their ids: what the journal says of one, and how one is taken back.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
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
use super::extract::{Parsed, Path, Preview, Query};
use super::problem::Problem;
use super::render::{ReversalPreview, ReversalView};
use super::transfers::{Submitted, Words, authority, check_text, moves_money, submit};
use super::{Api, extract, statement};
use crate::random;
use crate::service::error::ServiceError;

/// What may contradict how a transfer stands.
pub(super) const CONFLICTS: &[&str] = &["already_reversed", "reversal_final"];

pub(super) fn read_route() -> Route {
    Route::get("/v1/economies/{economy}/transfers/{transfer}", read)
        .operation(
            "get_transfer",
            "Read a transfer",
            "What a transfer, an issue, a capture or a call has moved, and whether it was taken \
             back.",
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
        "Take a transfer back",
        "By a new one that is linked with it, once. Where the money is gone an admin may force it, \
         past the limits of accounts, and says why.",
    )
    .needs(Scope::Transfer)
    .body::<ReversalBody>("taken_back", json!({ "memo": "a mistake" }))
    .or_body(
        "forced",
        json!({ "force": true, "reason": "the item was bought with stolen money" }),
    )
    .answers::<ReversalView<'static>>(StatusCode::CREATED, "What has moved.")
    .error(StatusCode::NOT_FOUND, &["transfer_not_found"])
    .error(StatusCode::CONFLICT, CONFLICTS);
    moves_money::<ReversalPreview>(route)
}

/// Why a transfer is taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReversalBody {
    /// Whether the limits of accounts are passed over; needs the scope `admin`, and a `reason`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    force: bool,
    /// Why it is forced; kept with the record.
    #[schemars(length(max = 256))]
    reason: Option<String>,
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

impl ReversalBody {
    fn check(&self) -> Result<(), Problem> {
        check_text("/reason", self.reason.as_ref(), REASON_CHARS_MAX)?;
        Words {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()
    }

    /// What is forced says why.
    fn force(self) -> Result<Option<Force>, Problem> {
        match (
            self.force,
            self.reason.filter(|reason| !reason.trim().is_empty()),
        ) {
            (false, None) => Ok(None),
            (true, Some(reason)) => Ok(Some(Force { reason })),
            (true, None) => Err(Problem::malformed(
                "/reason",
                "a reversal that is forced says for which reason",
            )),
            (false, Some(_)) => Err(Problem::malformed(
                "/reason",
                "a reason belongs to a reversal with `force`; use `memo` for others",
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
    headers: HeaderMap,
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
    let submitted = Submitted {
        route: format!("/v1/economies/{economy}/transfers/{original}/reverse"),
        economy,
        canonical,
        act,
    };
    submit(&api, &caller, preview, &headers, submitted).await
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

/// A transfer as the journal has it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TransferRecord")]
struct RecordView<'a> {
    #[schemars(with = "schemas::Uuid")]
    id: TransferId,
    /// The record in the economy's journal.
    seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    recorded_at: Timestamp,
    /// What kind of act it came of.
    #[schemars(extend("enum" = statement::KINDS))]
    kind: &'static str,
    /// Who asked: the name of an API key.
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
    /// The hold of which it was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    hold: Option<HoldId>,
    /// The transfer that took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    reversed_by: Option<TransferId>,
    /// The transfer that it took back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Uuid")]
    reverses: Option<TransferId>,
}

fn view(id: TransferId, made: &SubjectRecord, reversal: Option<Reversal>) -> RecordView<'_> {
    let words = made.words();
    let said = |name: &str| words.and_then(|words| words.get(name));
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
        memo: said("memo"),
        reference: said("reference"),
        metadata: said("metadata"),
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

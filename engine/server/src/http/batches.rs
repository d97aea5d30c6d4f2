//! Many transfers in one request, each with its own key, its own fate and its own answer.
//!
//! A transfer of a batch is the same request as one that is sent alone: under its key it may be
//! repeated in another batch or singly, and is answered once.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Postings, Scope};
use bursar_storage::{Answer, IdempotencyKey};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{self, Asked, Nothing, Path};
use super::problem::{Problem, ProblemBody};
use super::render::TransferView;
use super::route::{JSON, Route};
use super::transfers::TransferBody;
use super::{Api, shapes};
use crate::no_answer::NoAnswer;

/// Transfers in one batch.
const BATCH_TRANSFERS_MAX: usize = 8_192;

/// Bytes in the body of a batch.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(super) fn route() -> Route {
    Route::post("/v1/economies/{economy}/transfers/batch", transfer)
        .called(
            "create_transfer_batch",
            "Many transfers in one request",
            "Each has its own idempotency key, its own fate and its own answer, and may be repeated \
             singly. They are decided in this order.",
        )
        .needs(Scope::Transfer)
        .body::<BatchBody>(
            "two_payments",
            json!({ "mode": "independent", "transfers": [
                { "idempotency_key": "rent-1", "postings": [
                    { "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5 },
                ]},
                { "idempotency_key": "rent-2", "reference": "rent", "postings": [
                    { "from": "user:2", "to": "user:1", "asset": "coin", "amount": 1 },
                ]},
            ]}),
        )
        .bytes::<BatchBody>(JSON, BATCH_BYTES_MAX)
        .answers::<BatchAnswer>(StatusCode::OK, "One answer for each, in the same order.")
        .no(StatusCode::SERVICE_UNAVAILABLE, &["overloaded", "outcome_unknown", "unavailable"])
}

/// The answers to a batch. (They are put together from the bytes that are kept, see `respond`.)
#[derive(JsonSchema)]
#[schemars(rename = "BatchAnswer")]
struct BatchAnswer {
    #[serde(rename = "results")]
    _results: Vec<BatchResult>,
}

/// The answer to one transfer of a batch.
#[derive(JsonSchema)]
struct BatchResult {
    /// The status that it would have had alone.
    #[serde(rename = "status")]
    #[schemars(range(min = 200, max = 599))]
    _status: u16,
    /// The body that it would have had alone.
    #[serde(rename = "body")]
    _body: BatchResultBody,
    /// Whether this answer was given before.
    #[serde(rename = "replayed")]
    _replayed: bool,
}

/// What has moved, or a problem.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum BatchResultBody {
    _Moved(TransferView<'static>),
    _Problem(ProblemBody<'static>),
}

/// How the transfers of a batch hang together.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BatchMode")]
enum Mode {
    /// Not at all: one that is refused disturbs no other.
    Independent,
}

/// Many transfers that are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    #[serde(rename = "mode")]
    _mode: Mode,
    #[schemars(length(min = 1, max = 8192))]
    transfers: Vec<BatchItem>,
}

/// A transfer in a batch: its key, and what the body of a single one says. (Spelled out, since
/// members that are not known would pass unseen through a flattened one.)
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    #[schemars(with = "shapes::IdempotencyKey")]
    idempotency_key: String,
    /// What is to move, in this order.
    #[schemars(with = "shapes::Postings")]
    postings: Postings,
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<shapes::Document>")]
    metadata: Option<Value>,
}

/// `POST …/transfers/batch`
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Asked<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let parsed = extract::json_up_to::<BatchBody>(body, BATCH_BYTES_MAX).await?;
    let transfers = parsed.typed.transfers;
    if !(1..=BATCH_TRANSFERS_MAX).contains(&transfers.len()) {
        let detail = format!("a batch has 1 to {BATCH_TRANSFERS_MAX} transfers");
        return Err(Problem::malformed("/transfers", detail));
    }
    let route = format!("/v1/economies/{economy}/transfers");
    let bodies = parsed.canonical.pointer("/transfers").cloned();
    let Some(Value::Array(bodies)) = bodies else {
        return Err(Problem::malformed("/transfers", "a list of transfers"));
    };
    let mut asks = Vec::with_capacity(transfers.len());
    for (index, (item, mut body)) in transfers.into_iter().zip(bodies).enumerate() {
        let within = |problem: Problem| problem.within(&format!("/transfers/{index}"));
        let key: IdempotencyKey = item.idempotency_key.parse().map_err(|error| {
            let error: bursar_storage::KeyError = error;
            within(Problem::malformed("/idempotency_key", error.to_string()))
        })?;
        let transfer = TransferBody {
            postings: item.postings,
            memo: item.memo,
            reference: item.reference,
            metadata: item.metadata,
        };
        transfer.check().map_err(within)?;
        if let Some(body) = body.as_object_mut() {
            body.remove("idempotency_key");
        }
        let economy = economy.clone();
        let asking = extract::asking(&caller, economy, Some(key), "POST", &route, &body);
        asks.push((asking, transfer.into_act(&caller)));
    }
    // Nothing ran so far; from here on everything does, in this order.
    let answers = api.bursar.act_all(asks).await;
    Ok(respond(&answers))
}

/// The answers in the order of the transfers, each body byte for byte as it is kept.
fn respond(answers: &[Result<Answer, NoAnswer>]) -> Response {
    let result = |answer: &Result<Answer, NoAnswer>| {
        let (status, body, replayed) = match answer {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                (answer.status, text, answer.replayed)
            }
            Err(no_answer) => {
                let problem = Problem::from(no_answer);
                (problem.status().as_u16(), problem.body().to_string(), false)
            }
        };
        format!("{{\"status\":{status},\"body\":{body},\"replayed\":{replayed}}}")
    };
    let results: Vec<String> = answers.iter().map(result).collect();
    let body = format!("{{\"results\":[{}]}}", results.join(","));
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

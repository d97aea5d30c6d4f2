//! The route of batches, described.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use schemars::JsonSchema;
use serde_json::json;

use super::{BATCH_BYTES_MAX, BatchBody, transfer};
use crate::http::api::route::{JSON, Route};
use crate::http::extract::Preview;
use crate::http::problem::ProblemBody;
use crate::http::render::{BatchPreview, BatchView, TransferPreview, TransferView};
use crate::http::transfers::REFUSALS;

pub(in crate::http) fn route() -> Route {
    Route::post("/v1/economies/{economy}/transfers/batch", transfer)
        .operation(
            "create_transfer_batch",
            "Many transfers in one request",
            "`independent`: each has its own idempotency key, its own fate and its own answer, and \
             may be repeated singly. `atomic`: all of them happen or none, under the key in the \
             header, and a refusal names the `index`. They are decided in this order.",
        )
        .needs(Scope::Transfer)
        .query::<Preview>()
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
        .or_body(
            "all_or_none",
            json!({ "mode": "atomic", "transfers": [
                { "postings": [
                    { "from": "user:1", "to": "user:2", "asset": "coin", "amount": 2 },
                ]},
                { "postings": [
                    { "from": "user:2", "to": "user:1", "asset": "coin", "amount": 2 },
                ]},
            ]}),
        )
        .bytes::<BatchBody>(JSON, BATCH_BYTES_MAX)
        .keyed_if("One for an atomic batch, as elsewhere. An independent one does not look at it.")
        .answers::<BatchView<'static>>(StatusCode::CREATED, "An atomic batch: what has moved.")
        .answers::<BatchAnswer>(
            StatusCode::OK,
            "An independent batch: one answer for each, in the same order. Or a preview.",
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, REFUSALS)
        .writes()
}

/// What is answered that is not kept under one key.
#[derive(JsonSchema)]
#[schemars(rename = "BatchAnswer", untagged)]
enum BatchAnswer {
    _Independent(BatchResults),
    _Preview(BatchPreview),
}

/// The answers to a batch. (They are put together from the bytes that are kept, see `respond`.)
#[derive(JsonSchema)]
struct BatchResults {
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

/// What has moved or would have, or a problem.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum BatchResultBody {
    _Moved(TransferView<'static>),
    _Preview(TransferPreview),
    _Problem(ProblemBody<'static>),
}

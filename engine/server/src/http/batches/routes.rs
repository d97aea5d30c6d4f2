//! The description of the route of batches.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use schemars::JsonSchema;
use serde_json::json;

use super::{BATCH_BYTES_MAX, BatchBody, transfer};
use crate::http::api::route::{JSON, Route};
use crate::http::api::views::ProblemBody;
use crate::http::extract::Preview;
use crate::http::money::REJECTIONS;
use crate::http::render::{BatchPreview, BatchView, TransferPreview, TransferView};

pub(in crate::http) fn route() -> Route {
    Route::post("/v1/economies/{economy}/transfers/batch", transfer)
        .operation(
            "create_transfer_batch",
            "Create a batch of transfers",
            "Submits up to 8,192 transfers, which are decided in this order. In the mode \
             `independent` each transfer has its own idempotency key and its own result, and may \
             be repeated alone or in another batch. In the mode `atomic` all transfers are \
             committed or none, under the key in the header; a rejection names the `index` of the \
             transfer that caused it.",
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
        .keyed_if(
            "Required for an atomic batch. Ignored for an independent batch, whose transfers \
                   have their own keys.",
        )
        .answers::<BatchView<'static>>(StatusCode::CREATED, "The atomic batch was committed.")
        .answers::<BatchAnswer>(
            StatusCode::OK,
            "The results of an independent batch, in the order of its transfers; or the result of \
             a preview.",
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, REJECTIONS)
        .writes()
}

/// A response that is not stored under a single key.
#[derive(JsonSchema)]
#[schemars(rename = "BatchAnswer", untagged)]
enum BatchAnswer {
    _Independent(BatchResults),
    _Preview(BatchPreview),
}

/// The results of a batch. `respond` assembles them from the stored bytes.
#[derive(JsonSchema)]
struct BatchResults {
    #[serde(rename = "results")]
    _results: Vec<BatchResult>,
}

/// The result of one transfer of a batch.
#[derive(JsonSchema)]
struct BatchResult {
    /// The status of the response that the transfer would get if it were sent alone.
    #[serde(rename = "status")]
    #[schemars(range(min = 200, max = 599))]
    _status: u16,
    /// The body of the response that the transfer would get if it were sent alone.
    #[serde(rename = "body")]
    _body: BatchResultBody,
    /// True if this result repeats an earlier response.
    #[serde(rename = "replayed")]
    _replayed: bool,
}

/// The movements, a preview of them, or a problem.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum BatchResultBody {
    _Moved(TransferView<'static>),
    _Preview(TransferPreview),
    _Problem(ProblemBody<'static>),
}

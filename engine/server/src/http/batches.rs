//! Many transfers in one request, each with its own key, its own fate and its own answer.
//!
//! A transfer of a batch is the same request as one that is sent alone: under its key it may be
//! repeated in another batch or singly, and is answered once.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Postings, Scope, Timestamp};
use bursar_storage::{Answer, IdempotencyKey};
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::auth::Caller;
use super::extract::{self, Asked, Nothing, Path};
use super::problem::Problem;
use super::transfers::TransferBody;
use crate::no_answer::NoAnswer;

/// Transfers in one batch.
const BATCH_TRANSFERS_MAX: usize = 8_192;

/// Bytes in the body of a batch.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How the transfers of a batch hang together.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Not at all: one that is refused disturbs no other.
    Independent,
}

/// The body of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    #[serde(rename = "mode")]
    _mode: Mode,
    transfers: Vec<BatchItem>,
}

/// A transfer in a batch: its key, and what the body of a single one says. (Spelled out, since
/// members that are not known would pass unseen through a flattened one.)
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    idempotency_key: String,
    postings: Postings,
    memo: Option<String>,
    reference: Option<String>,
    metadata: Option<Value>,
    effective_at: Option<Timestamp>,
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
    let now = api.bursar.now();
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
            effective_at: item.effective_at,
        };
        transfer.check(now).map_err(within)?;
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

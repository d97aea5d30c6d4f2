//! Many transfers in one request: each with its own key, its own fate and its own answer, or all of
//! them as one.
//!
//! A transfer of an independent batch is the same request as one that is sent alone: under its key it
//! may be repeated in another batch or singly, and is answered once. An atomic batch has one key, in
//! the header, and one answer.

mod routes;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{
    Act, BATCH_TRANSFERS_MAX, BatchRequest, EconomyId, Postings, Scope, Timestamp, TransferRequest,
    Transfers, TransfersError,
};
use bursar_storage::{Answer, IdempotencyKey};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::auth::Caller;
use super::extract::{self, Asked, Parsed, Path, Preview};
use super::problem::Problem;
use super::transfers::{Submitted, TransferBody, submit};
use super::{Api, shapes};
use crate::no_answer::NoAnswer;

pub(super) use routes::route;

/// Bytes in the body of a batch.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How the transfers of a batch hang together.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BatchMode")]
enum Mode {
    /// Not at all: one that is refused disturbs no other.
    Independent,
    /// Entirely: one that is refused keeps all of them from happening.
    Atomic,
}

/// Many transfers that are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    mode: Mode,
    #[schemars(length(min = 1, max = 8192))]
    transfers: Vec<BatchItem>,
}

/// A transfer in a batch: its key, and what the body of a single one says. (Spelled out, since
/// members that are not known would pass unseen through a flattened one.)
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    /// Its own key: each transfer of an independent batch has one, and none of an atomic one.
    #[schemars(with = "Option<shapes::IdempotencyKey>")]
    idempotency_key: Option<String>,
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
    /// When it took effect elsewhere; it is kept and shown, and means nothing to the rules.
    #[schemars(with = "Option<shapes::Timestamp>")]
    effective_at: Option<Timestamp>,
}

/// `POST …/transfers/batch`
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Asked(preview): Asked<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let Parsed { typed, canonical } =
        extract::json_up_to::<BatchBody>(body, BATCH_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    let count = typed.transfers.len();
    if !(1..=BATCH_TRANSFERS_MAX).contains(&count) {
        return Err(Problem::malformed(
            "/transfers",
            TransfersError::Count.to_string(),
        ));
    }
    let now = api.bursar.now();
    let mut keys = Vec::with_capacity(count);
    let mut requests = Vec::with_capacity(count);
    for (index, item) in typed.transfers.into_iter().enumerate() {
        let within = |problem: Problem| problem.within(&format!("/transfers/{index}"));
        keys.extend(item.key(typed.mode).map_err(within)?);
        requests.push(item.into_request(&caller, now).map_err(within)?);
    }
    match typed.mode {
        Mode::Independent => {
            let batch = Independent {
                economy,
                keys,
                requests,
            };
            batch.run(&api, &caller, preview, canonical).await
        }
        Mode::Atomic => {
            // The cap stands once in the batch, not in each of its transfers.
            let requests = requests
                .into_iter()
                .map(|each| TransferRequest { cap: None, ..each });
            let transfers = Transfers::new(requests.collect())
                .map_err(|error| Problem::malformed("/transfers", error.to_string()))?;
            let submitted = Submitted {
                route: format!("/v1/economies/{economy}/transfers/batch"),
                economy,
                canonical,
                act: Act::Batch(BatchRequest {
                    transfers,
                    cap: caller.transfer_cap(),
                }),
            };
            submit(&api, &caller, preview, &headers, submitted).await
        }
    }
}

impl BatchItem {
    /// The transfer's own key: in an independent batch each has one, in an atomic batch none.
    fn key(&self, mode: Mode) -> Result<Option<IdempotencyKey>, Problem> {
        let wrong = |detail: String| Problem::malformed("/idempotency_key", detail);
        match (mode, &self.idempotency_key) {
            (Mode::Independent, Some(key)) => {
                let key = key.parse::<IdempotencyKey>();
                key.map(Some).map_err(|error| wrong(error.to_string()))
            }
            (Mode::Independent, None) => Err(wrong(
                "each transfer of an independent batch has its own key".into(),
            )),
            (Mode::Atomic, None) => Ok(None),
            (Mode::Atomic, Some(_)) => Err(wrong(
                "an atomic batch has one key, in the header `Idempotency-Key`".into(),
            )),
        }
    }

    fn into_request(self, caller: &Caller, now: Timestamp) -> Result<TransferRequest, Problem> {
        let transfer = TransferBody {
            postings: self.postings,
            memo: self.memo,
            reference: self.reference,
            metadata: self.metadata,
            effective_at: self.effective_at,
        };
        transfer.into_request(caller, now)
    }
}

/// Transfers that share a request and nothing else.
struct Independent {
    economy: EconomyId,
    keys: Vec<IdempotencyKey>,
    requests: Vec<TransferRequest>,
}

impl Independent {
    async fn run(
        self,
        api: &Api,
        caller: &Caller,
        Preview { preview }: Preview,
        canonical: Value,
    ) -> Result<Response, Problem> {
        let Self {
            economy,
            keys,
            requests,
        } = self;
        let acts = requests.into_iter().map(Act::Transfer);
        if preview {
            let acts: Vec<Act> = acts.collect();
            let answers = api.bursar.preview_all(&economy, acts).await?;
            return Ok(respond(&answers.into_iter().map(Ok).collect::<Vec<_>>()));
        }
        let route = format!("/v1/economies/{economy}/transfers");
        let bodies = canonical.get("transfers").and_then(Value::as_array);
        let bodies = bodies.into_iter().flatten().cloned();
        let asks = keys.into_iter().zip(bodies).zip(acts);
        let asks = asks.map(|((key, mut body), act)| {
            if let Some(body) = body.as_object_mut() {
                body.remove("idempotency_key");
            }
            let economy = economy.clone();
            let asking = extract::asking(caller, economy, Some(key), "POST", &route, &body);
            (asking, act)
        });
        // Nothing ran so far; from here on everything does, in this order.
        let answers = api.bursar.act_all(asks.collect()).await;
        Ok(respond(&answers))
    }
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

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
use bursar_storage::{Answer, IdempotencyKey, Request};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Api;
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, Canonical, Path, Preview, Query};
use super::json::{self, Json};
use super::problem::Problem;
use super::transfers::{Submitted, TransferBody, submit};
use crate::service::RequestContext;
use crate::service::error::ServiceError;

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

/// Many transfers that are asked for. They are read one by one, see [`Reading`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    mode: Mode,
    #[schemars(with = "Vec<BatchItem>", length(min = 1, max = 8192))]
    transfers: Items,
}

/// Counts the items of a list.
struct Items(usize);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(items.len()))
    }
}

/// A transfer in a batch: its key, and what the body of a single one says. (Spelled out, since
/// members that are not known would pass unseen through a flattened one.)
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    /// Its own key: each transfer of an independent batch has one, and none of an atomic one.
    #[schemars(with = "Option<schemas::IdempotencyKey>")]
    idempotency_key: Option<String>,
    /// What is to move, in this order.
    #[schemars(with = "schemas::Postings")]
    postings: Postings,
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
    /// When it took effect elsewhere; it is kept and shown, and means nothing to the rules.
    #[schemars(with = "Option<schemas::Timestamp>")]
    effective_at: Option<Timestamp>,
}

/// `POST …/transfers/batch`
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Query(preview): Query<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let body = extract::read(body, BATCH_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    let bytes = body.len();
    let reading = Reading {
        economy: economy.clone(),
        caller: caller.clone(),
        now: api.service.now(),
    };
    let read = api.bodies.work(bytes, move || reading.read(&body)).await;
    match read?? {
        Batch::Independent(asks) => {
            let answers = if preview.preview {
                let acts = asks.into_iter().map(|(_, act)| act).collect();
                let answers = api.service.preview_all(&economy, acts).await?;
                answers.into_iter().map(Ok).collect()
            } else {
                // Nothing ran so far; from here on everything does, in this order.
                let service = api.service.clone();
                let sent = api
                    .bodies
                    .work(bytes, move || service.send_all(asks))
                    .await?;
                api.service.answers(sent).await
            };
            Ok(api.bodies.work(bytes, move || respond(&answers)).await?)
        }
        Batch::Atomic(submitted) => submit(&api, &caller, preview, &headers, submitted).await,
    }
}

/// The outcome of reading a body.
enum Batch {
    /// Transfers that share a request and nothing else.
    Independent(Vec<(RequestContext, Act)>),
    /// One act.
    Atomic(Submitted),
}

/// The context in which a body is read: the one who asks for it, and the time.
struct Reading {
    economy: EconomyId,
    caller: Caller,
    now: Timestamp,
}

impl Reading {
    /// Reads a batch. Each transfer is let go once its act and its canonical text are made, so that
    /// only one of these forms is in memory at a time.
    fn read(&self, body: &[u8]) -> Result<Batch, Problem> {
        let mut whole = json::parse(body)?;
        let BatchBody { mode, transfers } = json::read(&whole)?;
        let wrong = |error: TransfersError| Problem::malformed("/transfers", error.to_string());
        if !(1..=BATCH_TRANSFERS_MAX).contains(&transfers.0) {
            return Err(wrong(TransfersError::Count));
        }
        let Some(Json::List(items)) = whole.take("transfers") else {
            return Err(wrong(TransfersError::Count));
        };
        let items = items.into_iter().map(|mut item| {
            item.drop_nulls();
            item
        });
        let items = items.enumerate();
        let within = |index| move |problem: Problem| problem.within(&format!("/transfers/{index}"));
        match mode {
            Mode::Independent => {
                let asks = items.map(|(index, item)| self.independent(item).map_err(within(index)));
                let asks = asks.collect::<Result<_, _>>()?;
                json::numbers(body)?;
                Ok(Batch::Independent(asks))
            }
            Mode::Atomic => {
                let mut text = String::from(r#"{"mode":"atomic","transfers":["#);
                let mut requests = Vec::with_capacity(transfers.0);
                for (index, item) in items {
                    let request = self.of_atomic(&item).map_err(within(index))?;
                    requests.push(request);
                    text.push_str(if index == 0 { "" } else { "," });
                    text.push_str(Canonical::of(&item).as_str());
                }
                text.push_str("]}");
                json::numbers(body)?;
                let transfers = Transfers::new(requests).map_err(wrong)?;
                let economy = self.economy.clone();
                Ok(Batch::Atomic(Submitted {
                    route: format!("/v1/economies/{economy}/transfers/batch"),
                    economy,
                    canonical: Canonical::of_parts(text),
                    act: Act::Batch(BatchRequest {
                        transfers,
                        cap: self.caller.transfer_cap(),
                    }),
                }))
            }
        }
    }

    /// A transfer as if it were sent alone: its key is none of its body.
    fn independent(&self, mut item: Json<'_>) -> Result<(RequestContext, Act), Problem> {
        let typed: BatchItem = json::read(&item)?;
        let key = typed.key()?;
        item.take("idempotency_key");
        let path = format!("/v1/economies/{}/transfers", self.economy);
        let context = RequestContext {
            economy: self.economy.clone(),
            actor: self.caller.actor.clone(),
            key: Some(key),
            request: Request::new("POST", &path, &item),
        };
        let request = typed.into_request(&self.caller, self.now)?;
        Ok((context, Act::Transfer(request)))
    }

    /// A transfer of an atomic batch. The cap stands once in the batch, not in each of its transfers.
    fn of_atomic(&self, item: &Json<'_>) -> Result<TransferRequest, Problem> {
        let typed: BatchItem = json::read(item)?;
        if typed.idempotency_key.is_some() {
            let detail = "an atomic batch has one key, in the header `Idempotency-Key`";
            return Err(Problem::malformed("/idempotency_key", detail));
        }
        let request = typed.into_request(&self.caller, self.now)?;
        Ok(TransferRequest {
            cap: None,
            ..request
        })
    }
}

impl BatchItem {
    /// The transfer's own key.
    fn key(&self) -> Result<IdempotencyKey, Problem> {
        let wrong = |detail: String| Problem::malformed("/idempotency_key", detail);
        let Some(key) = &self.idempotency_key else {
            let detail = "each transfer of an independent batch has its own key";
            return Err(wrong(detail.into()));
        };
        key.parse::<IdempotencyKey>()
            .map_err(|error| wrong(error.to_string()))
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

/// The answers in the order of the transfers, each body byte for byte as it is kept.
fn respond(answers: &[Result<Answer, ServiceError>]) -> Response {
    let mut text = Vec::from(br#"{"results":["#);
    for (index, answer) in answers.iter().enumerate() {
        let problem;
        let (status, body, replayed) = match answer {
            Ok(answer) => (answer.status, &answer.body[..], answer.replayed),
            Err(no_answer) => {
                let found = Problem::from(no_answer);
                problem = found.body().to_string();
                (found.status().as_u16(), problem.as_bytes(), false)
            }
        };
        let comma = if index == 0 { "" } else { "," };
        text.extend_from_slice(format!(r#"{comma}{{"status":{status},"body":"#).as_bytes());
        text.extend_from_slice(body);
        text.extend_from_slice(format!(r#","replayed":{replayed}}}"#).as_bytes());
    }
    text.extend_from_slice(b"]}");
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text).into_response()
}

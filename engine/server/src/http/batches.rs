//! The handler of batches: many transfers in one request, either independent of each other or
//! atomic.
//!
//! A transfer of an independent batch is the same request as a single transfer: under its key it
//! may be repeated in another batch or alone, and it is committed once. An atomic batch has one
//! key, in the header, and one response.

mod routes;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bursar_ledger::{
    Act, BATCH_TRANSFERS_MAX, BatchRequest, CanonicalReader, EconomyId, Omissions, Postings, Scope,
    Timestamp, TransferRequest, Transfers, TransfersError, UnreadText,
};
use bursar_storage::{Answer, IdempotencyKey, Request, RequestFrame};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Api;
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, Canonical, KeyHeader, Path, Preview, Query};
use super::json::{self, Json};
use super::problem::Problem;
use super::transfers::{ActSubmission, TransferBody, submit};
use crate::service::RequestContext;
use crate::service::error::ServiceError;

pub(super) use routes::route;

/// The largest body of a batch, in bytes.
pub(super) const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The relation between the transfers of a batch.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BatchMode")]
enum Mode {
    /// Each transfer is committed or rejected on its own.
    Independent,
    /// All transfers are committed, or none if one of them is rejected.
    Atomic,
}

/// A batch of transfers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    mode: Mode,
    #[schemars(with = "Vec<BatchItem>", length(min = 1, max = 8192))]
    transfers: Items,
}

/// The number of items of a list, read without keeping them.
struct Items(usize);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(items.len()))
    }
}

/// A transfer of a batch: the body of a single transfer, with its own key. The members are repeated
/// here, because serde cannot reject unknown members of a flattened type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    /// The key of this transfer. Required in an independent batch, rejected in an atomic one.
    #[schemars(with = "Option<schemas::IdempotencyKey>")]
    idempotency_key: Option<String>,
    /// The postings, in the order in which they are applied.
    #[schemars(with = "schemas::PostingList")]
    postings: Postings,
    /// The reason, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
    /// Your own reference. Statements can be filtered by it.
    #[schemars(length(max = 128))]
    reference: Option<String>,
    /// Your own data, up to 4 KiB.
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Option<Value>,
    /// The time at which the transfer took effect outside of Bursar. It is stored and displayed,
    /// and has no other effect.
    #[schemars(with = "Option<schemas::Timestamp>")]
    effective_at: Option<Timestamp>,
}

/// `POST …/transfers/batch`
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Query(preview): Query<Preview>,
    key: KeyHeader,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let body = extract::read(body, BATCH_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    let bytes = body.len();
    let context = BatchContext {
        economy: economy.clone(),
        caller: caller.clone(),
        now: api.service.now(),
    };
    let read = api.bodies.work(bytes, move || context.read(&body)).await;
    match read?? {
        ParsedBatch::Independent(requests) => {
            let mut results = Results::new(requests.len());
            if preview.preview {
                let acts = requests.into_iter().map(|(_, act)| act).collect();
                let answers = api.service.preview_all(&economy, acts).await?;
                for answer in answers {
                    results.add(&Ok(answer));
                }
            } else {
                // No transfer was submitted so far. They are submitted from here on, in order.
                let service = api.service.clone();
                let submit = move || service.send_all(requests);
                let pending = api.bodies.work(bytes, submit).await?;
                let add = |answer| results.add(&answer);
                api.service.answers(pending, add).await;
            }
            Ok(results.into_response())
        }
        ParsedBatch::Atomic(submission) => submit(&api, &caller, preview, key, submission).await,
    }
}

/// The number of bytes that are reserved for each result. Most results need less.
const RESULT_BYTES: usize = 512;

/// The transfers of a batch that was read.
#[derive(Default)]
struct BatchTransfers {
    /// The transfers with keys of their own.
    keyed: Vec<(RequestContext, Act)>,
    /// The other transfers.
    atomic: Vec<TransferRequest>,
    /// The canonical texts of the other transfers, joined by commas.
    atomic_text: String,
}

/// A batch that was read.
enum ParsedBatch {
    /// Transfers with their own keys.
    Independent(Vec<(RequestContext, Act)>),
    /// All transfers as one act.
    Atomic(ActSubmission),
}

/// The context in which a body is read: the sender and the time.
struct BatchContext {
    economy: EconomyId,
    caller: Caller,
    now: Timestamp,
}

impl BatchContext {
    fn read(&self, body: &[u8]) -> Result<ParsedBatch, Problem> {
        // A body that cannot be read in one pass is parsed again, for the place of its error.
        self.read_valid(body)
            .or_else(|UnreadText| self.read_any(body))
    }

    /// Reads a valid batch in one pass, a transfer at a time. Leaves all other bodies to [`BatchContext::read_any`].
    fn read_valid(&self, body: &[u8]) -> Result<ParsedBatch, UnreadText> {
        let mut reader = CanonicalReader::new(body)?;
        let mut mode = None;
        let mut transfers = None;
        reader.each_member(|reader, name| match name {
            "mode" if mode.is_none() => {
                mode = Some(reader.value::<Mode>(Omissions::default())?);
                reader.canonical().clear();
                Ok(())
            }
            "transfers" if transfers.is_none() => {
                transfers = Some(self.read_transfers(reader)?);
                Ok(())
            }
            _ => Err(UnreadText),
        })?;
        reader.finish()?;
        let BatchTransfers {
            keyed,
            atomic,
            atomic_text,
        } = transfers.ok_or(UnreadText)?;
        match mode.ok_or(UnreadText)? {
            Mode::Independent if atomic.is_empty() && !keyed.is_empty() => {
                Ok(ParsedBatch::Independent(keyed))
            }
            Mode::Atomic if keyed.is_empty() => {
                let text = format!(r#"{{"mode":"atomic","transfers":[{atomic_text}]}}"#);
                self.atomic(atomic, text).map_err(|_| UnreadText)
            }
            Mode::Independent | Mode::Atomic => Err(UnreadText),
        }
    }

    /// Reads the transfers of a batch whose mode need not be known: those with keys are independent, the others are
    /// atomic.
    fn read_transfers(
        &self,
        reader: &mut CanonicalReader<'_>,
    ) -> Result<BatchTransfers, UnreadText> {
        let mut read = BatchTransfers::default();
        let mut frame = RequestFrame::new("POST", &self.path());
        reader.each_item(|reader| {
            if read.keyed.len().saturating_add(read.atomic.len()) >= BATCH_TRANSFERS_MAX {
                return Err(UnreadText);
            }
            reader.canonical().clear();
            let typed: BatchItem = reader.value(Omissions {
                nulls: true,
                name: Some("idempotency_key"),
            })?;
            let text = reader.canonical();
            if typed.idempotency_key.is_some() {
                let key = typed.key().map_err(|_| UnreadText)?;
                let context = self.context(key, frame.with_body(text));
                let request = typed.into_request(&self.caller, self.now);
                let act = Act::Transfer(request.map_err(|_| UnreadText)?);
                read.keyed.push((context, act));
            } else {
                let request = self.of_atomic(typed).map_err(|_| UnreadText)?;
                read.atomic.push(request);
                let is_first = read.atomic_text.is_empty();
                read.atomic_text.push_str(if is_first { "" } else { "," });
                read.atomic_text.push_str(text);
            }
            Ok(())
        })?;
        Ok(read)
    }

    /// Reads a batch by parsing the whole text first. Each transfer is dropped once its act and its canonical text are
    /// built, so that only one of these forms is in memory at a time.
    fn read_any(&self, body: &[u8]) -> Result<ParsedBatch, Problem> {
        let mut whole = json::parse(body)?;
        let BatchBody { mode, transfers } = json::read(&whole)?;
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
                let requests =
                    items.map(|(index, item)| self.independent(item).map_err(within(index)));
                let requests = requests.collect::<Result<_, _>>()?;
                json::numbers(body)?;
                Ok(ParsedBatch::Independent(requests))
            }
            Mode::Atomic => {
                let mut text = String::from(r#"{"mode":"atomic","transfers":["#);
                let mut requests = Vec::with_capacity(transfers.0);
                for (index, item) in items {
                    let typed = json::read(&item).map_err(within(index))?;
                    let request = self.of_atomic(typed).map_err(within(index))?;
                    requests.push(request);
                    text.push_str(if index == 0 { "" } else { "," });
                    text.push_str(Canonical::of(&item).as_str());
                }
                text.push_str("]}");
                json::numbers(body)?;
                self.atomic(requests, text)
            }
        }
    }

    /// Returns the atomic batch of some transfers, with its canonical text.
    fn atomic(&self, requests: Vec<TransferRequest>, text: String) -> Result<ParsedBatch, Problem> {
        Ok(ParsedBatch::Atomic(ActSubmission {
            path: format!("{}/batch", self.path()),
            economy: self.economy.clone(),
            canonical: Canonical::of_text(text),
            act: Act::Batch(BatchRequest {
                transfers: Transfers::new(requests).map_err(wrong)?,
                cap: self.caller.transfer_cap(),
            }),
        }))
    }

    /// Returns the path of a single transfer.
    fn path(&self) -> String {
        format!("/v1/economies/{}/transfers", self.economy)
    }

    fn context(&self, key: IdempotencyKey, request: Request) -> RequestContext {
        RequestContext {
            economy: self.economy.clone(),
            actor: self.caller.actor.clone(),
            key: Some(key),
            request,
        }
    }

    /// Reads a transfer as if it were sent alone: its key is not part of its body.
    fn independent(&self, mut item: Json<'_>) -> Result<(RequestContext, Act), Problem> {
        let typed: BatchItem = json::read(&item)?;
        let key = typed.key()?;
        item.take("idempotency_key");
        let context = self.context(key, Request::new("POST", &self.path(), &item));
        let request = typed.into_request(&self.caller, self.now)?;
        Ok((context, Act::Transfer(request)))
    }

    /// Returns a transfer of an atomic batch. The batch has the key's cap, so its transfers have
    /// none.
    fn of_atomic(&self, typed: BatchItem) -> Result<TransferRequest, Problem> {
        if typed.idempotency_key.is_some() {
            let detail = "a transfer of an atomic batch must not have a key: send one key for the \
                          batch in the header `Idempotency-Key`";
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
    /// Returns the key of the transfer.
    fn key(&self) -> Result<IdempotencyKey, Problem> {
        let wrong = |detail: String| Problem::malformed("/idempotency_key", detail);
        let Some(key) = &self.idempotency_key else {
            let detail = "each transfer of an independent batch requires an `idempotency_key`";
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

fn wrong(error: TransfersError) -> Problem {
    Problem::malformed("/transfers", error.to_string())
}

/// The response to an independent batch: the results in the order of the transfers. Each body is copied byte for byte
/// as it was stored, so that a repeated request gets the identical response.
struct Results(Vec<u8>);

impl Results {
    fn new(transfers: usize) -> Self {
        let bytes = transfers.saturating_mul(RESULT_BYTES);
        let mut text = Vec::with_capacity(bytes);
        text.extend_from_slice(br#"{"results":["#);
        Self(text)
    }

    fn add(&mut self, answer: &Result<Answer, ServiceError>) {
        let text = &mut self.0;
        let problem;
        let (status, body, replayed) = match answer {
            Ok(answer) => (answer.status, &answer.body[..], answer.replayed),
            Err(error) => {
                let found = Problem::from(error);
                problem = found.body().to_string();
                (found.status().as_u16(), problem.as_bytes(), false)
            }
        };
        let comma: &[u8] = if text.ends_with(b"[") { b"" } else { b"," };
        text.extend_from_slice(comma);
        text.extend_from_slice(br#"{"status":"#);
        text.extend_from_slice(status.to_string().as_bytes());
        text.extend_from_slice(br#","body":"#);
        text.extend_from_slice(body);
        let replayed: &[u8] = if replayed {
            br#","replayed":true}"#
        } else {
            br#","replayed":false}"#
        };
        text.extend_from_slice(replayed);
    }

    fn into_response(mut self) -> Response {
        self.0.extend_from_slice(b"]}");
        ([(header::CONTENT_TYPE, extract::JSON)], self.0).into_response()
    }
}

#[cfg(test)]
mod tests;

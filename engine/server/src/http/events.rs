//! What happens in an economy, in order: as pages, or as a stream that goes on (server-sent events).
//!
//! An event is a record: what was asked and what was answered, with the balances after. Its number
//! has no gaps, so whoever follows knows what is missing; after a break one goes on from the last
//! number that one has dealt with, and sees everything at least once, in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Digest, EconomyId, Scope, Timestamp};
use bursar_storage::{EVENTS_MAX, Event};
use futures_util::stream::{Stream, unfold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::auth::Caller;
use super::extract::{self, Asked, NUMBER_MAX, Path, wrong_query};
use super::problem::Problem;
use super::route::{Resource, Route};
use super::{Api, shapes, wire};
use crate::keyed_locks::{KeyedGuard, KeyedLocks};
use crate::no_answer::NoAnswer;

/// Events in a page where nothing is said, and what a stream reads at once.
const EVENTS: usize = 100;

/// Streams at the same time, of all economies together.
const STREAMS_MAX: usize = 256;

/// Streams of one economy at the same time.
const STREAMS_PER_ECONOMY_MAX: usize = 32;

pub(super) fn routes() -> Resource {
    let read = Route::get("/v1/economies/{economy}/events", read)
        .called(
            "list_events",
            "Every record in order",
            "What was asked and what was answered, with the balances after. Numbers have no gaps. \
             With `Accept: text/event-stream` it is a stream that goes on; after a break it is \
             taken up again with `Last-Event-ID`.",
        )
        .needs(Scope::Read)
        .query::<EventsQuery>()
        .header::<shapes::Number>(
            "Last-Event-ID",
            "The last event that was dealt with: a stream goes on after it. Pages use `after`.",
        )
        .answers::<EventPage<'static>>(StatusCode::OK, "A page, or a stream.")
        .answers_as::<shapes::Stream>(StatusCode::OK, "text/event-stream", "A stream.")
        .no(StatusCode::SERVICE_UNAVAILABLE, &["overloaded"])
        .reads_the_file();
    Resource {
        name: "events",
        about: "What happens in an economy, for whoever follows it.",
        routes: vec![read],
    }
}

/// Places for those who follow.
pub(super) struct Streams {
    all: Arc<Semaphore>,
    per_economy: KeyedLocks<EconomyId>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(STREAMS_MAX)),
            per_economy: KeyedLocks::new(STREAMS_PER_ECONOMY_MAX),
        }
    }
}

/// A place for one who follows.
type Place = (OwnedSemaphorePermit, KeyedGuard<EconomyId>);

/// Which events are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events after this one.
    #[serde(default)]
    #[schemars(with = "shapes::Number")]
    after: u64,
    /// Events in the page.
    #[serde(default = "events")]
    #[schemars(range(min = 1, max = 500))]
    limit: usize,
}

fn events() -> usize {
    EVENTS
}

/// `GET …/events`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Asked(EventsQuery { after, limit }): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let after = extract::number("after", after)?;
    let last = last_event_id(&headers)?;
    if !(1..=EVENTS_MAX).contains(&limit) {
        let detail = format!("a page has 1 to {EVENTS_MAX} events");
        return Err(wrong_query("limit", &detail));
    }
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    if wants_stream(&headers) {
        let after = last.unwrap_or(after);
        let all = api.streams.all.clone().try_acquire_owned();
        let all = all.map_err(|_| NoAnswer::TooManyStreams)?;
        let here = api.streams.per_economy.try_enter(economy.clone());
        let place = (all, here.ok_or(NoAnswer::TooManyStreams)?);
        let followed = Followed::new(&api, caller, economy, after, place);
        let stream = Sse::new(followed.into_stream()).keep_alive(KeepAlive::default());
        return Ok(stream.into_response());
    }
    let head = Head {
        seq: books.seq(),
        hash: books.head(),
    };
    let page = page(&api, &economy, after, limit).await?;
    let body = EventPage {
        events: page.iter().map(event).collect(),
        next_after: page.last().map_or(after, |event| event.seq),
        head,
    };
    Ok(Json(wire::to_json(body)).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Where a client that comes back wants to go on.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let number = number.filter(|number| *number <= NUMBER_MAX);
    let wrong = || Problem::malformed("", "`Last-Event-ID` is the number of an event");
    number.map(Some).ok_or_else(wrong)
}

async fn page(
    api: &Api,
    economy: &EconomyId,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, NoAnswer> {
    let economy = economy.clone();
    api.bursar
        .read(move |storage| storage.events(&economy, after, limit))
        .await
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
struct EventPage<'a> {
    events: Vec<EventView<'a>>,
    /// What to say as `after` for the next page.
    next_after: u64,
    head: Head,
}

/// The newest record of the economy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventHead")]
struct Head {
    seq: u64,
    #[schemars(with = "shapes::Digest")]
    hash: Digest,
}

/// One record of the journal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventView<'a> {
    /// Its number in the economy, without gaps.
    seq: u64,
    #[schemars(with = "shapes::Timestamp")]
    recorded_at: Timestamp,
    /// What kind of act it was, such as `transfer` or `call`.
    kind: &'a str,
    #[schemars(extend("enum" = ["applied", "rejected", "declined", "faulted", "broken"]))]
    outcome: &'a str,
    /// Who asked: the name of an API key.
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::IdempotencyKey")]
    idempotency_key: Option<&'a str>,
    /// What was asked: method, path and body.
    #[schemars(with = "Value")]
    request: &'a Value,
    /// What was answered.
    #[schemars(with = "Value")]
    answer: &'a Value,
    /// The hash of the record, which covers all before it.
    #[schemars(with = "shapes::Digest")]
    hash: Digest,
    /// Whose event it is: told to webhooks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::EconomyName")]
    economy: Option<&'a EconomyId>,
}

/// An event as it is sent to a webhook, which is told the economy, too.
pub(crate) fn body(event: &Event, economy: &EconomyId) -> Value {
    wire::to_json(EventView {
        economy: Some(economy),
        ..self::event(event)
    })
}

fn event(event: &Event) -> EventView<'_> {
    EventView {
        economy: None,
        seq: event.seq,
        recorded_at: event.recorded_at,
        kind: &event.kind,
        outcome: &event.outcome,
        actor: &event.actor,
        idempotency_key: event.key.as_deref(),
        request: &event.request,
        answer: &event.answer,
        hash: event.hash,
    }
}

/// An economy that somebody follows.
struct Followed {
    api: Api,
    caller: Caller,
    economy: EconomyId,
    after: u64,
    ready: VecDeque<Event>,
    commits: watch::Receiver<u64>,
    ending: watch::Receiver<bool>,
    _place: Place,
}

impl Followed {
    fn new(api: &Api, caller: Caller, economy: EconomyId, after: u64, place: Place) -> Self {
        Self {
            api: api.clone(),
            caller,
            economy,
            after,
            ready: VecDeque::new(),
            commits: api.bursar.storage().commits(),
            ending: api.ending.clone(),
            _place: place,
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        unfold(self, |mut followed| async move {
            let next = followed.next().await?;
            let data = sse::Event::default()
                .id(next.seq.to_string())
                .event(next.kind.clone())
                .data(wire::to_json(event(&next)).to_string());
            Some((Ok(data), followed))
        })
    }

    /// The next event, waited for. None when the service ends, the key is no longer good for it, or
    /// the file cannot be read: the client comes back and goes on from its last event.
    async fn next(&mut self) -> Option<Event> {
        loop {
            // Asked before each event: the key may have been revoked while the page was read.
            if !self
                .caller
                .is_still_good(&self.api, Scope::Read, &self.economy)
            {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                self.after = event.seq;
                return Some(event);
            }
            // Marked as seen before the look, so that nothing falls between the two.
            self.commits.borrow_and_update();
            let page = page(&self.api, &self.economy, self.after, EVENTS).await;
            self.ready = page.ok()?.into();
            if self.ready.is_empty() {
                tokio::select! {
                    changed = self.commits.changed() => changed.ok()?,
                    _ = self.ending.wait_for(|ending| *ending) => return None,
                }
            }
        }
    }
}

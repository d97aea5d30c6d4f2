//! What happens in an economy, in order: as pages, or as a stream that goes on (server-sent events).
//!
//! An event is a record: what was asked and what was answered, with the balances after. Its number
//! has no gaps, so a consumer knows what is missing; after a break it goes on from the last position
//! that it has dealt with, and sees everything at least once, in order. A position that is not of
//! this history is refused before the first event, in pages and streams alike: an `EventSource`
//! then stops with an error, instead of waiting in silence for events that it has missed.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Digest, EconomyId, Scope, Timestamp};
use bursar_storage::{EVENTS_MAX, EconomyNews, Event, EventRange};
use futures_util::stream::{Stream, unfold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::Api;
use super::api::route::{Resource, Route};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{self, Path, Query, wrong_query};
use super::position::Position;
use super::problem::Problem;
use super::streams::StreamPlace;
use crate::service::error::ServiceError;

/// Events in a page where nothing is said.
const EVENTS: usize = 100;

/// Tells proxies such as nginx to pass each event on when it comes.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

pub(super) fn routes() -> Resource {
    let read = Route::get("/v1/economies/{economy}/events", read)
        .operation(
            "list_events",
            "Every record in order",
            "What was asked and what was answered, with the balances after. Numbers have no gaps. \
             With `Accept: text/event-stream` it is a stream that goes on; after a break it is \
             taken up again with `Last-Event-ID`. A position after the newest record, or of a \
             record that is another one by now, is refused: the file was restored from a backup.",
        )
        .needs(Scope::Read)
        .query::<EventsQuery>()
        .header::<schemas::Position>(
            "Last-Event-ID",
            "The id of the last event that was dealt with: a stream goes on after it. Pages use \
             `after`.",
        )
        .answers::<EventPage<'static>>(StatusCode::OK, "A page, or a stream.")
        .answers_as::<schemas::Stream>(StatusCode::OK, "text/event-stream", "A stream.")
        .error(
            StatusCode::CONFLICT,
            &["position_past_head", "history_changed"],
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["quota_reached"])
        .error(StatusCode::SERVICE_UNAVAILABLE, &["overloaded"])
        .reads_the_file();
    Resource {
        name: "events",
        about: "What happens in an economy, for whoever follows it.",
        routes: vec![read],
    }
}

/// Which events are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events after this one: `next_after` of the page before, or the number of an event.
    #[serde(default)]
    #[schemars(with = "schemas::Position")]
    after: Option<String>,
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
    Query(EventsQuery { after, limit }): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let after = after.map_or(Ok(Position::START), |after| {
        let read: Result<Position, _> = after.parse();
        read.map_err(|error| wrong_query("after", &error.to_string()))
    })?;
    let last = last_event_id(&headers)?;
    if !(1..=EVENTS_MAX).contains(&limit) {
        let detail = format!("a page has 1 to {EVENTS_MAX} events");
        return Err(wrong_query("limit", &detail));
    }
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if wants_stream(&headers) {
        let after = last.unwrap_or(after);
        after.check(&api, &economy, books).await?;
        let place = api.streams.enter(&economy, books)?;
        let followed = Followed::new(&api, caller, economy, after.seq, place);
        let stream = Sse::new(followed.into_stream()).keep_alive(KeepAlive::default());
        return Ok(([UNBUFFERED], stream).into_response());
    }
    after.check(&api, &economy, books).await?;
    let head = Head {
        seq: books.seq(),
        hash: books.head(),
    };
    let range = EventRange {
        after: after.seq,
        upto: head.seq,
        bytes_max: usize::MAX,
    };
    let page = api.service.read({
        let economy = economy.clone();
        move |storage| storage.events(&economy, range, limit)
    });
    let page = page.await?;
    // Without further events the position was the newest record's, and is from now on said in full.
    let next = page
        .last()
        .map_or_else(|| Position::of_head(books), Position::of_event);
    let body = EventPage {
        events: page.iter().map(event).collect(),
        next_after: next.to_string(),
        head,
    };
    Ok(Json(views::to_json(body)).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Where a client that comes back wants to go on.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    let wrong = || Problem::malformed("", "`Last-Event-ID` is the id of an event, or its number");
    position.map(Some).ok_or_else(wrong)
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
struct EventPage<'a> {
    events: Vec<EventView<'a>>,
    /// What to say as `after` for the next page.
    #[schemars(with = "schemas::Position")]
    next_after: String,
    head: Head,
}

/// The newest record of the economy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventHead")]
struct Head {
    seq: u64,
    #[schemars(with = "schemas::Digest")]
    hash: Digest,
}

/// One record of the journal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventView<'a> {
    /// Its number in the economy, without gaps.
    seq: u64,
    /// The value of `after` to read on after it, with the number and a part of the hash.
    #[schemars(with = "schemas::Position")]
    position: String,
    #[schemars(with = "schemas::Timestamp")]
    recorded_at: Timestamp,
    /// What kind of act it was, such as `transfer` or `call`.
    kind: &'a str,
    #[schemars(extend("enum" = ["applied", "rejected", "declined", "faulted", "broken"]))]
    outcome: &'a str,
    /// Who asked: the name of an API key.
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::IdempotencyKey")]
    idempotency_key: Option<&'a str>,
    /// What was asked: method, path and body.
    #[schemars(with = "Value")]
    request: &'a Value,
    /// What was answered.
    #[schemars(with = "Value")]
    answer: &'a Value,
    /// The hash of the record, which covers all before it.
    #[schemars(with = "schemas::Digest")]
    hash: Digest,
    /// Whose event it is: told to webhooks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::EconomyName")]
    economy: Option<&'a EconomyId>,
}

/// An event as it is sent to a webhook, which is told the economy, too.
pub(crate) fn body(event: &Event, economy: &EconomyId) -> Value {
    views::to_json(EventView {
        economy: Some(economy),
        ..self::event(event)
    })
}

fn event(event: &Event) -> EventView<'_> {
    EventView {
        economy: None,
        seq: event.seq,
        position: Position::of_event(event).to_string(),
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
    news: EconomyNews,
    /// Of the economy in which keys are recorded: a stream ends with its key.
    keys: EconomyNews,
    ending: watch::Receiver<bool>,
    _place: StreamPlace,
}

impl Followed {
    fn new(api: &Api, caller: Caller, economy: EconomyId, after: u64, place: StreamPlace) -> Self {
        Self {
            api: api.clone(),
            caller,
            news: api.service.storage().follow(&economy),
            economy,
            after,
            ready: VecDeque::new(),
            keys: api.service.storage().follow(api.service.system()),
            ending: api.ending.clone(),
            _place: place,
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        unfold(self, |mut followed| async move {
            let next = followed.next().await?;
            let data = sse::Event::default()
                .id(Position::of_event(&next).to_string())
                .event(next.kind.clone())
                .data(views::to_json(event(&next)).to_string());
            Some((Ok(data), followed))
        })
    }

    /// The next event, waited for. None when the service ends, the key is no longer good for it, or
    /// the file cannot be read: the client comes back and goes on from its last event.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let keys = self.keys.newest();
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
            // Compared in memory first: what others commit causes no read here.
            let upto = self.news.newest();
            if upto > self.after {
                let after = self.after;
                let page = self.api.service.follow_events(&self.economy, after, upto);
                self.ready = page.await.ok()?.into();
                // A number that is published and is not there: the client comes back and is told.
                self.ready.front()?;
                continue;
            }
            tokio::select! {
                () = self.news.beyond(self.after) => {}
                () = self.keys.beyond(keys) => {}
                _ = self.ending.wait_for(|ending| *ending) => return None,
            }
        }
    }
}

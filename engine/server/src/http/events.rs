//! The route that returns the events of an economy, as pages or as a stream of server-sent events
//! (WHATWG HTML, section 9.2).
//!
//! An event is a record of the log: a request and its response, with the balances after it. The
//! numbers of events have no gaps, so a consumer detects missing ones. After an interruption it
//! continues from the last position that it has processed, and receives every event at least once,
//! in order. A position that is not part of this history is rejected before the first event, in
//! pages and in streams: an `EventSource` then fails with an error instead of waiting silently for
//! events that it has missed.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Digest, EconomyId, Scope};
use bursar_storage::{EVENTS_MAX, EconomyNews, Event, EventRange};
use futures_util::stream::{Stream, unfold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Api;
use super::api::route::{Resource, Route};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{self, Path, Query, wrong_query};
use super::position::Position;
use super::problem::Problem;
use super::streams::StreamPermit;
use crate::service::error::ServiceError;

/// The default number of events in a page.
const EVENTS: usize = 100;

/// Tells proxies such as nginx to forward each event immediately (`proxy_buffering` of
/// `ngx_http_proxy_module`).
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

pub(super) fn routes() -> Resource {
    let read = Route::get("/v1/economies/{economy}/events", read)
        .operation(
            "list_events",
            "List events",
            "Returns the records of the economy in order: each request and its response, with the \
             balances after it. The numbers have no gaps. With the header `Accept: \
             text/event-stream` the response is a stream of server-sent events that does not end; \
             after an interruption, send the header `Last-Event-ID` to continue. A position that \
             is not part of the economy's present history is rejected: the file was restored from \
             a backup.",
        )
        .needs(Scope::Read)
        .pages("limit", "events", EVENTS, EVENTS_MAX)
        .query::<EventsQuery>()
        .header::<schemas::Position>(
            "Last-Event-ID",
            "The id of the last event that was processed: a stream continues after it. Pages use \
             the parameter `after` instead.",
        )
        .answers::<EventPage<'static>>(StatusCode::OK, "A page of events.")
        .answers_as::<schemas::Stream>(StatusCode::OK, "text/event-stream", "A stream of events.")
        .error(
            StatusCode::CONFLICT,
            &["position_past_head", "history_changed"],
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["quota_reached"])
        .error(StatusCode::SERVICE_UNAVAILABLE, &["overloaded"])
        .reads_the_file();
    Resource {
        name: "events",
        about: "An event is a record of an economy's log. Events can be read as pages or \
                stream as a stream.",
        routes: vec![read],
    }
}

/// The query of a page of events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Returns only events after this position: `next_after` of the previous page, or the number of
    /// an event. Default: from the first event.
    #[serde(default)]
    #[schemars(with = "schemas::Position")]
    after: Option<String>,
    /// The greatest number of events in the page.
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
        let detail = format!("must be between 1 and {EVENTS_MAX}");
        return Err(wrong_query("limit", &detail));
    }
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if wants_stream(&headers) {
        let after = last.unwrap_or(after);
        after.check(&api.service, &economy, books).await?;
        let permit = api.streams.enter(&economy, books)?;
        let events = EventStream::new(&api, caller, economy, after.seq, permit);
        let stream = Sse::new(events.into_stream()).keep_alive(KeepAlive::default());
        return Ok(([UNBUFFERED], stream).into_response());
    }
    after.check(&api.service, &economy, books).await?;
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
    // Without further events the position is the one of the newest record. It is returned with its
    // hash, also if the client sent only the number.
    let next = page
        .last()
        .map_or_else(|| Position::of_head(books), Position::of_event);
    let body = EventPage {
        events: page.iter().map(views::event).collect(),
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

/// Returns the position after which a reconnecting client continues.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    let wrong = || {
        Problem::malformed(
            "",
            "`Last-Event-ID` must be the id or the number of an \
                                           event",
        )
    };
    position.map(Some).ok_or_else(wrong)
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
struct EventPage<'a> {
    events: Vec<views::EventView<'a>>,
    /// The value of `after` for the next page.
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

/// A stream of an economy's events.
struct EventStream {
    api: Api,
    caller: Caller,
    economy: EconomyId,
    after: u64,
    ready: VecDeque<Event>,
    news: EconomyNews,
    /// News of the economy that records API keys: a stream ends when its key is revoked.
    keys: EconomyNews,
    ending: watch::Receiver<bool>,
    _permit: StreamPermit,
}

impl EventStream {
    fn new(
        api: &Api,
        caller: Caller,
        economy: EconomyId,
        after: u64,
        permit: StreamPermit,
    ) -> Self {
        Self {
            api: api.clone(),
            caller,
            news: api.service.storage().follow(&economy),
            economy,
            after,
            ready: VecDeque::new(),
            keys: api.service.storage().follow(api.service.system()),
            ending: api.ending.clone(),
            _permit: permit,
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        unfold(self, |mut stream| async move {
            let next = stream.next().await?;
            let data = sse::Event::default()
                .id(Position::of_event(&next).to_string())
                .event(next.kind.clone())
                .data(views::to_json(views::event(&next)).to_string());
            Some((Ok(data), stream))
        })
    }

    /// Waits for the next event. Returns none if the server stops, the key is no longer valid or
    /// the file cannot be read; the client then reconnects and continues from its last event.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let keys = self.keys.newest();
            // The key is checked before each event, because it may have been revoked while the page
            // was read.
            if !self
                .caller
                .is_still_valid(&self.api, Scope::Read, &self.economy)
            {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                self.after = event.seq;
                return Some(event);
            }
            // The number in memory is compared first, so that commits of other economies cause no
            // read here.
            let upto = self.news.newest();
            if upto > self.after {
                let after = self.after;
                let page = self.api.service.follow_events(&self.economy, after, upto);
                self.ready = page.await.ok()?.into();
                // The number is published but the record cannot be found. The stream ends, and the
                // client gets an error when it reconnects.
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

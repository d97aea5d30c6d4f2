//! The follower of one webhook: it reads the economy's events in order and sends them one at a
//! time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bursar_ledger::{Act, Webhook, WebhookPatch, WebhookRequest, WebhookSecret};
use bursar_storage::{DeadLetter, DeliveryError, EconomyNews, Event, Request, State};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::Webhooks;
use super::address::Target;
use super::attempt::{DeliveryOutcome, Message};
use super::progress::{Cursor, Progress};
use crate::random;
use crate::service::RequestContext;

/// The greatest number of events that may be delivered before the file contains a note of them. At
/// most this many are sent again after a crash.
const UNNOTED_MAX: u32 = 1_000;

/// The pause after the file could not be read or the writer did not accept a request.
const TROUBLE: Duration = Duration::from_secs(1);

/// The greatest length of a stored error, in characters.
const ERROR_CHARS_MAX: usize = 200;

pub(super) struct Follower {
    hooks: Webhooks,
    progress: Arc<Progress>,
    born: u64,
    /// Events that were read and not yet processed, for the cursor at which they were read.
    ready: VecDeque<Event>,
    since: u64,
    stopping: watch::Receiver<bool>,
    news: EconomyNews,
    noted_at: Option<Instant>,
    /// The events accepted since the last note, and those in the last note that is not yet in the
    /// file.
    since_note: u32,
    in_note: u32,
    /// The time of the next attempt, if the event after the cursor failed.
    retry_at: Option<Instant>,
}

/// The next step of a follower.
enum Next {
    /// Deliver the event after the cursor.
    Deliver(Cursor, Box<Event>),
    /// Look again, because the state may have changed.
    Again,
    /// Wait until there are records after this one.
    Wait(u64),
    /// Pause, because of a temporary error.
    Trouble,
    /// Stop, because the webhook was deleted.
    Gone,
}

/// The reason for the end of a wait.
#[derive(PartialEq, Eq)]
enum Wakeup {
    Again,
    Stopping,
}

impl Follower {
    pub(super) fn new(
        hooks: &Webhooks,
        progress: Arc<Progress>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            since: progress.cursor().since,
            born: progress.born,
            ready: VecDeque::new(),
            news: hooks.parts.service.storage().follow(&progress.place.0),
            progress,
            hooks: hooks.clone(),
            stopping,
            noted_at: None,
            since_note: 0,
            in_note: 0,
            retry_at: None,
        }
    }

    /// Runs until the webhook is deleted or the server stops.
    pub(super) async fn run(mut self) {
        let mut wakeup = self.resume().await;
        while wakeup == Wakeup::Again && !*self.stopping.borrow() {
            wakeup = match self.next().await {
                Next::Gone => break,
                Next::Again => Wakeup::Again,
                Next::Wait(newest) => self.wait_for_news(newest).await,
                Next::Trouble => self.rest(TROUBLE).await,
                Next::Deliver(at, event) => self.deliver(at, &event).await,
            };
            self.note_if_due();
            if wakeup == Wakeup::Again && self.since_note + self.in_note >= UNNOTED_MAX {
                wakeup = self.wait_for_note().await;
            }
        }
        if self.webhook().is_some() && self.progress.is_worth_a_note(true) {
            self.note();
        }
    }

    /// Waits after a start as after a failed attempt, so that restarts do not cause additional
    /// attempts.
    async fn resume(&mut self) -> Wakeup {
        let failures = self.progress.cursor().failures;
        match self.hooks.parts.setup.wait_after(failures) {
            Some(wait) => {
                self.retry_at = Some(Instant::now() + wait);
                self.rest(wait).await
            }
            None => Wakeup::Again,
        }
    }

    fn webhook(&self) -> Option<Arc<Webhook>> {
        self.webhook_in(&self.hooks.parts.service.state())
    }

    fn webhook_in(&self, state: &State) -> Option<Arc<Webhook>> {
        let (economy, id) = &self.progress.place;
        let found = state.books(economy).and_then(|books| books.webhook(id));
        found.filter(|webhook| webhook.born == self.born).cloned()
    }

    /// Determines the next step from the webhook's present state. It skips at most the events that
    /// were read at once, so that changes and a shutdown are noticed soon.
    async fn next(&mut self) -> Next {
        let state = self.hooks.parts.service.state();
        let Some(webhook) = self.webhook_in(&state) else {
            return Next::Gone;
        };
        let books = state.books(&self.progress.place.0);
        let newest = books.map_or(0, |books| books.seq());
        if !webhook.definition.enabled {
            return Next::Wait(newest);
        }
        self.progress.catch_up(&webhook);
        let at = self.progress.cursor();
        if self.progress.is_full() {
            let what = "too many events could not be delivered; replay them, then enable the \
                        webhook again";
            return self.switch_off(&webhook, at, what).await;
        }
        self.drop_processed(at);
        if newest <= at.done {
            return Next::Wait(newest);
        }
        if self.ready.is_empty() {
            let succeeded = self.read(at.done, newest).await;
            return if succeeded {
                Next::Again
            } else {
                Next::Trouble
            };
        }
        // Events after this state may be affected by a newer filter.
        while let Some(event) = self.ready.front().filter(|event| event.seq <= newest) {
            if webhook.definition.wants(&event.kind) {
                return Next::Deliver(at, Box::new(event.clone()));
            }
            self.progress.skipped(at, event.seq);
            self.ready.pop_front();
        }
        Next::Again
    }

    /// Drops events that were processed, or that were read before a replay.
    fn drop_processed(&mut self, at: Cursor) {
        if at.since != self.since {
            self.since = at.since;
            self.ready.clear();
        }
        while self.ready.front().is_some_and(|event| event.seq <= at.done) {
            self.ready.pop_front();
        }
    }

    /// Reads further events; returns false if that failed.
    async fn read(&mut self, after: u64, upto: u64) -> bool {
        let economy = &self.progress.place.0;
        let read = self.hooks.parts.service.follow_events(economy, after, upto);
        match read.await {
            Ok(events) if !events.is_empty() => {
                self.ready = events.into();
                true
            }
            // The error was logged by the service.
            Ok(_) | Err(_) => false,
        }
    }

    /// Attempts to deliver an event once, and waits after a failure.
    async fn deliver(&mut self, at: Cursor, event: &Event) -> Wakeup {
        let counts = at.failures == 0 || self.retry_at.is_none_or(|due| due <= Instant::now());
        let mut stopping = self.stopping.clone();
        let attempt = tokio::select! {
            attempt = self.attempt(at, event) => attempt,
            _ = stopped(&mut stopping) => return Wakeup::Stopping,
        };
        let now = self.hooks.parts.service.now();
        // A replay during the attempt makes its outcome irrelevant.
        if let Some(webhook) = self.webhook() {
            self.progress.catch_up(&webhook);
        }
        match attempt {
            // The webhook changed while the attempt waited for its permit.
            None => {}
            Some((_, DeliveryOutcome::Accepted)) => {
                self.since_note += 1;
                self.progress.accepted(at, event.seq, now);
            }
            Some((webhook, DeliveryOutcome::Gone)) => {
                let what = "the receiver answered 410 Gone: it wants no more events";
                if let Next::Trouble = self.switch_off(&webhook, at, what).await {
                    return self.rest(TROUBLE).await;
                }
            }
            Some((_, DeliveryOutcome::Failed(what))) if counts => {
                return self.failed(at, event, what).await;
            }
            Some((_, DeliveryOutcome::Failed(what))) => {
                return self.failed_early(at, event, what).await;
            }
        }
        Wakeup::Again
    }

    /// Waits for a permit and sends the event, with the webhook's definition at that time. Returns
    /// none if the event is no longer to be sent.
    async fn attempt(&self, at: Cursor, event: &Event) -> Option<(Arc<Webhook>, DeliveryOutcome)> {
        let (economy, _) = &self.progress.place;
        let parts = &self.hooks.parts;
        let _permit = parts.attempts.acquire(economy, 1).await;
        let webhook = self.webhook()?;
        let definition = &webhook.definition;
        let wanted = definition.enabled && definition.wants(&event.kind);
        self.progress.catch_up(&webhook);
        if !wanted || self.progress.cursor().since != at.since {
            return None;
        }
        let outcome = match Target::parse(&definition.url, parts.setup.allow_private) {
            Ok(target) => {
                let body = (parts.body)(event, economy).to_string();
                let message = Message::new(event, body, &definition.secret, parts.service.wall());
                parts.sender.send(&target, &message).await
            }
            Err(error) => DeliveryOutcome::Failed(error.to_string()),
        };
        Some((webhook, outcome))
    }

    /// Handles a failed attempt: waits for the next one, or gives the event up after the last one.
    async fn failed(&mut self, at: Cursor, event: &Event, what: String) -> Wakeup {
        let attempts = at.failures.saturating_add(1);
        let error = self.error(event, attempts, &what);
        let Some(wait) = self.hooks.parts.setup.wait_after(attempts) else {
            let letter = DeadLetter {
                seq: error.seq,
                kind: event.kind.clone(),
                at: error.at,
                attempts,
                error: error.what,
            };
            self.progress.gave_up(at, letter);
            return Wakeup::Again;
        };
        let retry_at = Instant::now() + wait;
        self.retry_at = Some(retry_at);
        self.progress.failed(at, attempts, error);
        self.rest_until(retry_at).await
    }

    /// Handles the failure of an attempt that an operator's change caused before its time: it does
    /// not count, and the next attempt stays due at its time.
    async fn failed_early(&mut self, at: Cursor, event: &Event, what: String) -> Wakeup {
        let error = self.error(event, at.failures, &what);
        self.progress.failed(at, at.failures, error);
        self.rest_until(self.retry_at.unwrap_or_else(Instant::now))
            .await
    }

    fn error(&self, event: &Event, attempts: u32, what: &str) -> DeliveryError {
        let what: String = what.chars().take(ERROR_CHARS_MAX).collect();
        let (economy, id) = &self.progress.place;
        let seq = event.seq;
        let at = self.hooks.parts.service.now();
        tracing::info!(%economy, webhook = %id, seq, attempts, what, "webhook delivery failed");
        DeliveryError { at, seq, what }
    }

    /// Waits for the next attempt. The wait can take hours, so the events in memory are dropped and
    /// read again afterwards.
    async fn rest_until(&mut self, retry_at: Instant) -> Wakeup {
        self.ready.clear();
        self.note_if_due();
        self.rest(retry_at.saturating_duration_since(Instant::now()))
            .await
    }

    /// Disables the webhook in a record of its economy, as an operator could, unless the webhook
    /// has changed in the meantime.
    async fn switch_off(&self, webhook: &Webhook, at: Cursor, what: &str) -> Next {
        let same = self.webhook().is_some_and(|now| *now == *webhook);
        if !same || self.progress.cursor().since != at.since {
            return Next::Again;
        }
        let (economy, id) = &self.progress.place;
        let service = &self.hooks.parts.service;
        let path = format!("/v1/economies/{economy}/webhooks/{id}");
        let context = RequestContext {
            economy: economy.clone(),
            actor: "bursar".into(),
            key: None,
            request: Request::new("PUT", &path, &json!({ "enabled": false })),
        };
        let act = Act::SetWebhook(WebhookRequest {
            webhook: id.clone(),
            patch: WebhookPatch {
                enabled: Some(false),
                ..WebhookPatch::default()
            },
            secret: WebhookSecret::new(random::bytes()),
            rotate: false,
        });
        let error = DeliveryError {
            at: self.hooks.parts.service.now(),
            seq: at.done.saturating_add(1),
            what: what.into(),
        };
        match service.act(context, act).await {
            Ok(answer) if answer.status < 300 => {
                tracing::warn!(%economy, webhook = %id, what, "webhook disabled");
                self.progress.stopped(at, error);
                Next::Again
            }
            Ok(answer) => {
                let status = answer.status;
                tracing::error!(%economy, webhook = %id, status, "webhook could not be disabled");
                Next::Trouble
            }
            Err(_) => Next::Trouble,
        }
    }

    /// Notes the progress, unless a note was written a moment ago.
    fn note_if_due(&mut self) {
        let storage = self.hooks.parts.service.storage();
        if storage.is_delivery_written(&self.progress.place) {
            self.in_note = 0;
        }
        let due = self.due().is_none_or(|due| due <= Instant::now());
        if due && self.progress.is_worth_a_note(false) {
            self.note();
        }
    }

    fn note(&mut self) {
        self.noted_at = Some(Instant::now());
        self.progress.note(self.hooks.parts.service.storage());
        self.in_note += std::mem::take(&mut self.since_note);
    }

    /// Waits until the file contains a note of all delivered events, so that a crash repeats no
    /// more of them.
    async fn wait_for_note(&mut self) -> Wakeup {
        self.note();
        let storage = self.hooks.parts.service.storage();
        tokio::select! {
            () = storage.until_delivery_written(&self.progress.place) => {}
            _ = stopped(&mut self.stopping) => return Wakeup::Stopping,
        }
        self.in_note = 0;
        Wakeup::Again
    }

    /// Returns the time from which another note may be written.
    fn due(&self) -> Option<Instant> {
        self.noted_at.map(|at| at + self.hooks.parts.setup.pace)
    }

    /// Waits for records after `newest`, for a change by an operator, or for the time of the next
    /// note.
    async fn wait_for_news(&mut self, newest: u64) -> Wakeup {
        let due = self.due().unwrap_or_else(Instant::now);
        let worth = self.progress.is_worth_a_note(false);
        tokio::select! {
            () = self.news.beyond(newest) => {}
            () = self.progress.poke.notified() => {}
            () = sleep_until(due), if worth => {}
            _ = stopped(&mut self.stopping) => return Wakeup::Stopping,
        }
        Wakeup::Again
    }

    /// Waits for a time, or for a change by an operator.
    async fn rest(&mut self, time: Duration) -> Wakeup {
        tokio::select! {
            () = sleep(time) => Wakeup::Again,
            () = self.progress.poke.notified() => Wakeup::Again,
            _ = stopped(&mut self.stopping) => Wakeup::Stopping,
        }
    }
}

pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) -> bool {
    // If the sender was dropped, the server is gone.
    stopping.wait_for(|stopping| *stopping).await.is_ok()
}

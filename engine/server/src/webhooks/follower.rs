//! One webhook's follower: reads its economy's events in order and sends them, one at a time.

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
use super::attempt::{Message, Outcome};
use super::progress::{Cursor, Progress};
use crate::random;
use crate::service::RequestContext;

/// Events that may be delivered while the file does not have their note: as many come again at most
/// after a crash.
const UNNOTED_MAX: u32 = 1_000;

/// How long is waited after the file could not be read, or the writer took nothing.
const TROUBLE: Duration = Duration::from_secs(1);

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 200;

pub(super) struct Follower {
    hooks: Webhooks,
    progress: Arc<Progress>,
    born: u64,
    /// Events that were read and not yet dealt with, for the cursor at which they were.
    ready: VecDeque<Event>,
    since: u64,
    stopping: watch::Receiver<bool>,
    news: EconomyNews,
    noted_at: Option<Instant>,
    /// Events that were accepted since the last note, and before it since the file has had one.
    since_note: u32,
    in_note: u32,
    /// When the event after the cursor is to be tried again, if it was tried in vain.
    retry_at: Option<Instant>,
}

/// What there is to do.
enum Next {
    /// The event that follows the cursor.
    Deliver(Cursor, Box<Event>),
    /// Another look, at what may be otherwise by now.
    Again,
    /// Nothing until there are records after this one.
    Wait(u64),
    /// Something went wrong here; in a moment it may not.
    Trouble,
    /// The webhook is not there any more.
    Gone,
}

/// Why a wait is over.
#[derive(PartialEq, Eq)]
enum Woken {
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

    /// Goes on until the webhook is gone or the server stops.
    pub(super) async fn run(mut self) {
        let mut woken = self.resume().await;
        while woken == Woken::Again && !*self.stopping.borrow() {
            woken = match self.next().await {
                Next::Gone => break,
                Next::Again => Woken::Again,
                Next::Wait(newest) => self.wait_for_news(newest).await,
                Next::Trouble => self.rest(TROUBLE).await,
                Next::Deliver(at, event) => self.deliver(at, &event).await,
            };
            self.keep_pace();
            if woken == Woken::Again && self.since_note + self.in_note >= UNNOTED_MAX {
                woken = self.wait_for_the_file().await;
            }
        }
        if self.webhook().is_some() && self.progress.is_worth_a_note(true) {
            self.note();
        }
    }

    /// A start is no reason to try what failed a moment ago.
    async fn resume(&mut self) -> Woken {
        let failures = self.progress.cursor().failures;
        match self.hooks.parts.setup.wait_after(failures) {
            Some(wait) => {
                self.retry_at = Some(Instant::now() + wait);
                self.rest(wait).await
            }
            None => Woken::Again,
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

    /// Looks at the webhook as it is now, and at no more events than were read at once: what is
    /// changed meanwhile, and the end of the server, are seen at the next look.
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
            let what = "too many events were given up; replay, then switch it on again";
            return self.switch_off(&webhook, at, what).await;
        }
        self.drop_the_done(at);
        if newest <= at.done {
            return Next::Wait(newest);
        }
        if self.ready.is_empty() {
            let (after, upto) = (at.done, newest);
            let read = self.read(after, upto).await;
            return if read { Next::Again } else { Next::Trouble };
        }
        // What is newer than this state may be for a filter that is newer, too.
        while let Some(event) = self.ready.front().filter(|event| event.seq <= newest) {
            if webhook.definition.wants(&event.kind) {
                return Next::Deliver(at, Box::new(event.clone()));
            }
            self.progress.skipped(at, event.seq);
            self.ready.pop_front();
        }
        Next::Again
    }

    /// Lets go of what was read and is dealt with, or was read before a replay.
    fn drop_the_done(&mut self, at: Cursor) {
        if at.since != self.since {
            self.since = at.since;
            self.ready.clear();
        }
        while self.ready.front().is_some_and(|event| event.seq <= at.done) {
            self.ready.pop_front();
        }
    }

    /// Reads further events. False if that was not possible.
    async fn read(&mut self, after: u64, upto: u64) -> bool {
        let economy = &self.progress.place.0;
        let read = self.hooks.parts.service.follow_events(economy, after, upto);
        match read.await {
            Ok(events) if !events.is_empty() => {
                self.ready = events.into();
                true
            }
            // Why is in the log already.
            Ok(_) | Err(_) => false,
        }
    }

    /// Tries to deliver an event once, and waits if that was in vain.
    async fn deliver(&mut self, at: Cursor, event: &Event) -> Woken {
        let counts = at.failures == 0 || self.retry_at.is_none_or(|due| due <= Instant::now());
        let mut stopping = self.stopping.clone();
        let tried = tokio::select! {
            tried = self.attempt(at, event) => tried,
            _ = stopped(&mut stopping) => return Woken::Stopping,
        };
        let now = self.hooks.parts.service.now();
        // It may have been told meanwhile to go on elsewhere: then this try does not count.
        if let Some(webhook) = self.webhook() {
            self.progress.catch_up(&webhook);
        }
        match tried {
            // It has changed while the attempt waited for its turn.
            None => {}
            Some((_, Outcome::Accepted)) => {
                self.since_note += 1;
                self.progress.accepted(at, event.seq, now);
            }
            Some((webhook, Outcome::Gone)) => {
                let what = "it answered 410: it wants no more";
                if let Next::Trouble = self.switch_off(&webhook, at, what).await {
                    return self.rest(TROUBLE).await;
                }
            }
            Some((_, Outcome::Failed(what))) if counts => {
                return self.failed(at, event, what).await;
            }
            Some((_, Outcome::Failed(what))) => return self.failed_early(at, event, what).await,
        }
        Woken::Again
    }

    /// Waits for a place and sends the event, by the webhook as it is then. None if the event is
    /// not to be sent any more.
    async fn attempt(&self, at: Cursor, event: &Event) -> Option<(Arc<Webhook>, Outcome)> {
        let (economy, _) = &self.progress.place;
        let parts = &self.hooks.parts;
        let _here = parts.per_economy.enter(economy.clone()).await;
        let _place = parts.all.acquire().await;
        let webhook = self.webhook()?;
        let definition = &webhook.definition;
        let wanted = definition.enabled && definition.wants(&event.kind);
        self.progress.catch_up(&webhook);
        if !wanted || self.progress.cursor().since != at.since {
            return None;
        }
        let outcome = match Target::parse(&definition.url, parts.setup.allow_private) {
            Ok(target) => {
                let message =
                    Message::new(event, economy, &definition.secret, parts.service.wall());
                parts.sender.send(&target, &message).await
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        Some((webhook, outcome))
    }

    /// An attempt was in vain: another one after a while, or none any more.
    async fn failed(&mut self, at: Cursor, event: &Event, what: String) -> Woken {
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
            return Woken::Again;
        };
        let retry_at = Instant::now() + wait;
        self.retry_at = Some(retry_at);
        self.progress.failed(at, attempts, error);
        self.rest_until(retry_at).await
    }

    /// An attempt was in vain that was made before its time, since an operator had changed
    /// something: it does not count, and the next one is when it was to be.
    async fn failed_early(&mut self, at: Cursor, event: &Event, what: String) -> Woken {
        let error = self.error(event, at.failures, &what);
        self.progress.failed(at, at.failures, error);
        self.rest_until(self.retry_at.unwrap_or_else(Instant::now))
            .await
    }

    fn error(&self, event: &Event, attempts: u32, what: &str) -> DeliveryError {
        let what: String = what.chars().take(ERROR_CHARS_MAX).collect();
        let (economy, id) = &self.progress.place;
        let (seq, at) = (event.seq, self.hooks.parts.service.now());
        tracing::info!(%economy, webhook = %id, seq, attempts, what, "a delivery failed");
        DeliveryError { at, seq, what }
    }

    /// Waits for the next attempt. It may take hours: what was read meanwhile is read again then.
    async fn rest_until(&mut self, retry_at: Instant) -> Woken {
        self.ready.clear();
        self.keep_pace();
        self.rest(retry_at.saturating_duration_since(Instant::now()))
            .await
    }

    /// Switches the webhook off, as an operator could, in a record of its economy; unless it has
    /// become another since.
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
                tracing::warn!(%economy, webhook = %id, what, "a webhook is switched off");
                self.progress.stopped(at, error);
                Next::Again
            }
            Ok(answer) => {
                let status = answer.status;
                tracing::error!(%economy, webhook = %id, status, "a webhook stays switched on");
                Next::Trouble
            }
            Err(_) => Next::Trouble,
        }
    }

    /// Notes how far it has come, unless that was done a moment ago.
    fn keep_pace(&mut self) {
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

    /// Waits until the file has a note of all that was delivered, so that a crash repeats no more.
    async fn wait_for_the_file(&mut self) -> Woken {
        self.note();
        let storage = self.hooks.parts.service.storage();
        tokio::select! {
            () = storage.until_delivery_written(&self.progress.place) => {}
            _ = stopped(&mut self.stopping) => return Woken::Stopping,
        }
        self.in_note = 0;
        Woken::Again
    }

    /// When a further note may be written.
    fn due(&self) -> Option<Instant> {
        self.noted_at.map(|at| at + self.hooks.parts.setup.pace)
    }

    /// Waits for records after `newest`, for an operator, or until a note is due.
    async fn wait_for_news(&mut self, newest: u64) -> Woken {
        let due = self.due().unwrap_or_else(Instant::now);
        let worth = self.progress.is_worth_a_note(false);
        tokio::select! {
            () = self.news.beyond(newest) => {}
            () = self.progress.poke.notified() => {}
            () = sleep_until(due), if worth => {}
            _ = stopped(&mut self.stopping) => return Woken::Stopping,
        }
        Woken::Again
    }

    /// Waits so long, unless an operator has changed something meanwhile.
    async fn rest(&mut self, time: Duration) -> Woken {
        tokio::select! {
            () = sleep(time) => Woken::Again,
            () = self.progress.poke.notified() => Woken::Again,
            _ = stopped(&mut self.stopping) => Woken::Stopping,
        }
    }
}

pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) -> bool {
    // Without a sender the server is gone, too.
    stopping.wait_for(|stopping| *stopping).await.is_ok()
}

//! One webhook's follower: reads its economy's events in order and sends them, one at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bursar_ledger::{
    Act, DeadLetter, DeliveryError, Webhook, WebhookPatch, WebhookRequest, WebhookSecret,
};
use bursar_storage::{Event, Request};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::Webhooks;
use super::address::Target;
use super::attempt::{Message, Outcome};
use super::progress::{Asked, Cursor, Progress};
use super::signature::sign;
use crate::economy::{Asking, blocking};
use crate::http::event_body;
use crate::random;

/// Events read at once.
const EVENTS: usize = 100;

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
    replays: u64,
    stopping: watch::Receiver<bool>,
    noted_at: Option<Instant>,
}

/// What there is to do.
enum Next {
    /// The event that follows the cursor.
    Deliver(Arc<Webhook>, Cursor, Box<Event>),
    /// Nothing until there are new records.
    Wait,
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
            replays: progress.cursor().replays,
            born: progress.born(),
            progress,
            ready: VecDeque::new(),
            hooks: hooks.clone(),
            stopping,
            noted_at: None,
        }
    }

    /// Goes on until the webhook is gone or the server stops.
    pub(super) async fn run(mut self) {
        let mut woken = Woken::Again;
        while woken == Woken::Again && !*self.stopping.borrow() {
            woken = match self.next().await {
                Next::Gone => break,
                Next::Wait => self.wait_for_news().await,
                Next::Trouble => self.rest(TROUBLE).await,
                Next::Deliver(webhook, at, event) => self.deliver(&webhook, at, &event).await,
            };
            self.keep_pace().await;
        }
        if self.is_there() && self.progress.is_worth_a_note(true) {
            self.note().await;
        }
    }

    fn webhook(&self) -> Option<Arc<Webhook>> {
        let (economy, id) = &self.progress.place;
        let state = self.hooks.parts.bursar.state();
        let found = state.books(economy).and_then(|books| books.webhook(id));
        found.filter(|webhook| webhook.born == self.born).cloned()
    }

    fn is_there(&self) -> bool {
        self.webhook().is_some()
    }

    async fn next(&mut self) -> Next {
        let Some(webhook) = self.webhook() else {
            return Next::Gone;
        };
        if !webhook.definition.enabled {
            return Next::Wait;
        }
        if self.progress.is_full() {
            let what = "too many events were given up; replay, then switch it on again";
            return self.switch_off(self.progress.cursor(), what).await;
        }
        loop {
            let at = self.progress.cursor();
            if at.replays != self.replays {
                self.replays = at.replays;
                self.ready.clear();
            }
            while self.ready.front().is_some_and(|event| event.seq <= at.done) {
                self.ready.pop_front();
            }
            match self.ready.front() {
                Some(event) if webhook.definition.wants(&event.kind) => {
                    return Next::Deliver(webhook, at, Box::new(event.clone()));
                }
                Some(event) => self.progress.skipped(at, event.seq),
                None if !self.is_behind(at) => return Next::Wait,
                None => {
                    if !self.read(at.done).await {
                        return Next::Trouble;
                    }
                }
            }
        }
    }

    fn is_behind(&self, at: Cursor) -> bool {
        let state = self.hooks.parts.bursar.state();
        let books = state.books(&self.progress.place.0);
        books.is_some_and(|books| books.seq() > at.done)
    }

    /// Reads further events. False if that was not possible.
    async fn read(&mut self, after: u64) -> bool {
        let storage = self.hooks.parts.bursar.storage().clone();
        let economy = self.progress.place.0.clone();
        let read = blocking(move || storage.events(&economy, after, EVENTS)).await;
        match read {
            Ok(Ok(events)) if !events.is_empty() => {
                self.ready = events.into();
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "events for a webhook could not be read");
                false
            }
            Ok(Ok(_)) | Err(_) => false,
        }
    }

    /// Tries to deliver an event once, and waits if that was in vain.
    async fn deliver(&mut self, webhook: &Webhook, at: Cursor, event: &Event) -> Woken {
        let mut stopping = self.stopping.clone();
        let tried = tokio::select! {
            outcome = self.attempt(webhook, event) => outcome,
            _ = stopped(&mut stopping) => return Woken::Stopping,
        };
        let now = (self.hooks.parts.clock)();
        match tried {
            Outcome::Accepted => self.progress.accepted(at, event.seq, now),
            Outcome::Gone => {
                let what = "it answered 410: it wants no more";
                if let Next::Trouble = self.switch_off(at, what).await {
                    return self.rest(TROUBLE).await;
                }
            }
            Outcome::Failed(what) => return self.failed(at, event, what).await,
        }
        Woken::Again
    }

    async fn attempt(&self, webhook: &Webhook, event: &Event) -> Outcome {
        let (economy, _) = &self.progress.place;
        let parts = &self.hooks.parts;
        let target = match Target::parse(&webhook.definition.url, parts.setup.allow_private) {
            Ok(target) => target,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let body = event_body(event, economy).to_string();
        let hash = event.hash.to_string();
        // The same in each attempt, and of no other event anywhere.
        let id = format!("msg_{}", hash.get(..32).unwrap_or(&hash));
        let timestamp_s = (parts.clock)().0 / 1_000;
        let secret = webhook.definition.secret;
        let message = Message {
            signature: sign(secret.as_bytes(), &id, timestamp_s, body.as_bytes()),
            id,
            timestamp_s,
            body: body.into(),
        };
        let _here = parts.per_economy.enter(economy.clone()).await;
        let _place = parts.all.acquire().await;
        parts.sender.send(&target, &message).await
    }

    /// An attempt was in vain: another one after a while, or none any more.
    async fn failed(&mut self, at: Cursor, event: &Event, what: String) -> Woken {
        let what: String = what.chars().take(ERROR_CHARS_MAX).collect();
        let (economy, id) = &self.progress.place;
        let (seq, now) = (event.seq, (self.hooks.parts.clock)());
        let attempts = at.failures.saturating_add(1);
        let wait = self.hooks.parts.setup.wait_after(attempts);
        tracing::info!(%economy, webhook = %id, seq, attempts, what, "a delivery failed");
        let Some(wait) = wait else {
            let letter = DeadLetter {
                seq,
                kind: event.kind.clone(),
                at: now,
                attempts,
                error: what,
            };
            self.progress.gave_up(at, letter);
            return Woken::Again;
        };
        // It may take hours: what was read meanwhile is read again then.
        self.ready.clear();
        let error = DeliveryError { at: now, seq, what };
        self.progress.failed(at, error);
        self.keep_pace().await;
        self.rest(wait).await
    }

    /// Switches the webhook off, as an operator could, in a record of its economy.
    async fn switch_off(&self, at: Cursor, what: &str) -> Next {
        let (economy, id) = &self.progress.place;
        let bursar = &self.hooks.parts.bursar;
        let path = format!("/v1/economies/{economy}/webhooks/{id}");
        let asking = Asking {
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
        let seq = at.done.saturating_add(1);
        let error = DeliveryError {
            at: (self.hooks.parts.clock)(),
            seq,
            what: what.into(),
        };
        tracing::warn!(%economy, webhook = %id, what, "a webhook is switched off");
        match bursar.act(asking, act).await {
            Ok(_) => {
                self.progress.stopped(at, error);
                Next::Wait
            }
            Err(_) => Next::Trouble,
        }
    }

    /// Notes how far it has come, unless that was done a moment ago.
    async fn keep_pace(&mut self) {
        let due = self.due().is_none_or(|due| due <= Instant::now());
        if due && self.progress.is_worth_a_note(false) {
            self.note().await;
        }
    }

    async fn note(&mut self) {
        self.noted_at = Some(Instant::now());
        let bursar = &self.hooks.parts.bursar;
        if let Err(problem) = self.progress.note(bursar, &Asked::BY_ITSELF).await {
            tracing::warn!(%problem, "how far a webhook has come is not noted yet");
        }
    }

    /// When a further note may be written.
    fn due(&self) -> Option<Instant> {
        self.noted_at.map(|at| at + self.hooks.parts.setup.pace)
    }

    /// Waits for new records, for an operator, or until a note is due.
    async fn wait_for_news(&mut self) -> Woken {
        let due = self.due().unwrap_or_else(Instant::now);
        let worth = self.progress.is_worth_a_note(false);
        tokio::select! {
            // News that came since the last look are kept until now, so that none is missed.
            () = self.progress.news.notified() => {}
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

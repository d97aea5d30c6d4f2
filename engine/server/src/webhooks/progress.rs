//! How far one webhook has come: in memory as it is, in the journal as it was a moment ago.
//!
//! After a crash a webhook goes on from its last note. It is never ahead of what was delivered, so
//! events may come again and none is left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{
    Act, DeadLetter, Delivery, DeliveryError, DeliveryNote, EconomyId, Timestamp, WebhookId,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::economy::Bursar;
use crate::no_answer::NoAnswer;

/// How many events that are not sent may be passed over before that is worth a note.
const SKIPPED_MAX: u64 = 1_000;

/// A webhook of an economy.
pub(super) type Place = (EconomyId, WebhookId);

/// How far a webhook has come.
pub(super) struct Progress {
    pub(super) place: Place,
    live: Mutex<Live>,
    /// Notes are written one after the other.
    writing: tokio::sync::Mutex<()>,
    /// Told when an operator has changed something that must not wait.
    pub(super) poke: Notify,
}

struct Live {
    delivery: Delivery,
    /// Replays so far. What was begun before one does not count after it.
    replays: u64,
    /// Of the events given up, those that a note has.
    noted: usize,
    /// Whether the list of events given up begins anew with the next note.
    anew: bool,
    /// Changes so far, and those that a note has.
    changes: u64,
    noted_changes: u64,
    /// Up to where a note has it.
    noted_done: u64,
}

/// Where a webhook stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    pub(super) done: u64,
    pub(super) failures: u32,
    pub(super) replays: u64,
}

impl Progress {
    /// Goes on from what the journal has.
    pub(super) fn new(place: Place, delivery: Delivery) -> Self {
        let live = Live {
            replays: 0,
            noted: delivery.dead.len(),
            anew: false,
            changes: 0,
            noted_changes: 0,
            noted_done: delivery.done,
            delivery,
        };
        Self {
            place,
            live: Mutex::new(live),
            writing: tokio::sync::Mutex::default(),
            poke: Notify::new(),
        }
    }

    pub(super) fn view(&self) -> Delivery {
        self.live().delivery.clone()
    }

    pub(super) fn born(&self) -> u64 {
        self.live().delivery.born
    }

    pub(super) fn is_full(&self) -> bool {
        self.live().delivery.is_full()
    }

    pub(super) fn cursor(&self) -> Cursor {
        let live = self.live();
        Cursor {
            done: live.delivery.done,
            failures: live.delivery.failures,
            replays: live.replays,
        }
    }

    /// Whether there is something that no note has and that is worth one. Events that are passed
    /// over are not until there are many, or at the end.
    pub(super) fn is_worth_a_note(&self, at_the_end: bool) -> bool {
        let live = self.live();
        let skipped = live.delivery.done.abs_diff(live.noted_done);
        let many = if at_the_end { 1 } else { SKIPPED_MAX };
        live.changes != live.noted_changes || skipped >= many
    }

    /// An event is of a kind that is not sent.
    pub(super) fn skipped(&self, at: Cursor, seq: u64) {
        self.change(at, false, |delivery| delivery.done = seq);
    }

    /// An event was accepted.
    pub(super) fn accepted(&self, at: Cursor, seq: u64, when: Timestamp) {
        self.change(at, true, |delivery| {
            delivery.done = seq;
            delivery.failures = 0;
            delivery.last_success = Some(when);
        });
    }

    /// An attempt failed, with which there were so many that count, and there is to be another.
    pub(super) fn failed(&self, at: Cursor, failures: u32, error: DeliveryError) {
        self.change(at, true, |delivery| {
            delivery.failures = failures;
            delivery.last_error = Some(error);
        });
    }

    /// The webhook is switched off. The event is tried anew if it is switched on again.
    pub(super) fn stopped(&self, at: Cursor, error: DeliveryError) {
        self.change(at, true, |delivery| {
            delivery.failures = 0;
            delivery.last_error = Some(error);
        });
    }

    /// An event is given up; the next one goes on.
    pub(super) fn gave_up(&self, at: Cursor, letter: DeadLetter) {
        self.change(at, true, |delivery| {
            delivery.done = letter.seq;
            delivery.failures = 0;
            delivery.last_error = Some(DeliveryError {
                at: letter.at,
                seq: letter.seq,
                what: letter.error.clone(),
            });
            delivery.dead.push(letter);
        });
    }

    /// Goes on after another event, with nothing given up: what comes after it is tried again, and
    /// what does not is let go.
    pub(super) fn replay(&self, after: u64) -> Delivery {
        let mut live = self.live();
        live.delivery.done = after;
        live.delivery.failures = 0;
        live.delivery.dead.clear();
        (live.noted, live.anew) = (0, true);
        live.replays += 1;
        live.changes += 1;
        live.delivery.clone()
    }

    /// Has what no note has yet committed, and waits for it.
    pub(super) async fn note(&self, bursar: &Bursar, asked: &Asked<'_>) -> Result<(), NoAnswer> {
        let _writing = self.writing.lock().await;
        let (note, anew, replays, changes, letters) = {
            let live = self.live();
            let mut note = live.delivery.clone();
            let letters = note.dead.len();
            note.dead = note.dead.split_off(live.noted.min(letters));
            (note, live.anew, live.replays, live.changes, letters)
        };
        let done = note.done;
        let (economy, webhook) = self.place.clone();
        let route = format!("/v1/economies/{economy}/webhooks/{webhook}{}", asked.route);
        let body = json!({ "after": done });
        let asking = bursar.system_asking(asked.actor, asked.method, &route, &body);
        let note = DeliveryNote {
            economy,
            webhook,
            delivery: note,
            anew,
        };
        bursar
            .act(asking, Act::NoteDelivery(Box::new(note)))
            .await?;
        let mut live = self.live();
        live.noted_changes = changes;
        live.noted_done = done;
        // A replay in between has begun another list.
        if live.replays == replays {
            (live.noted, live.anew) = (letters, false);
        }
        Ok(())
    }

    fn change(&self, at: Cursor, counts: bool, change: impl FnOnce(&mut Delivery)) {
        let mut live = self.live();
        if live.replays == at.replays {
            change(&mut live.delivery);
            live.changes += u64::from(counts);
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Each change is whole when its guard goes.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By whom and how a note was asked for.
pub(super) struct Asked<'a> {
    pub(super) actor: &'a str,
    pub(super) method: &'a str,
    pub(super) route: &'a str,
}

impl Asked<'static> {
    /// The server's own doing.
    pub(super) const BY_ITSELF: Self = Self {
        actor: "bursar",
        method: "NOTE",
        route: "",
    };
}

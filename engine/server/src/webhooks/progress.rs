//! The progress of one webhook: in memory as it is, noted in the file as it was a moment ago.
//!
//! After a crash a webhook goes on from its last note. It is never ahead of what was delivered, so
//! events may come again and none is left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Timestamp, Webhook};
use bursar_storage::{DeadLetter, Delivery, DeliveryError, Storage, WebhookPlace};
use tokio::sync::Notify;

/// How many events that are not sent may be passed over before that is worth a note.
const SKIPPED_MAX: u64 = 1_000;

/// How far a webhook has come.
pub(super) struct Progress {
    pub(super) place: WebhookPlace,
    /// The record that made the webhook.
    pub(super) born: u64,
    live: Mutex<Live>,
    /// Told when an operator has changed something that must not wait.
    pub(super) poke: Notify,
}

struct Live {
    delivery: Delivery,
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
    /// The record from which it counts. What was begun before another one does not count after it.
    pub(super) since: u64,
}

impl Progress {
    /// Goes on from what was noted.
    pub(super) fn new(place: WebhookPlace, born: u64, delivery: Delivery) -> Self {
        let live = Live {
            changes: 0,
            noted_changes: 0,
            noted_done: delivery.done,
            delivery,
        };
        Self {
            place,
            born,
            live: Mutex::new(live),
            poke: Notify::new(),
        }
    }

    pub(super) fn view(&self) -> Delivery {
        self.live().delivery.clone()
    }

    /// Goes on where the webhook was told to, if that is news: with nothing given up, since what comes
    /// after is sent again and what does not is let go.
    pub(super) fn catch_up(&self, webhook: &Webhook) {
        let start = webhook.start();
        let mut live = self.live();
        if webhook.born == self.born && live.delivery.since < start.seq {
            live.delivery = Delivery::new(start);
            live.changes += 1;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.live().delivery.is_full()
    }

    pub(super) fn cursor(&self) -> Cursor {
        let live = self.live();
        Cursor {
            done: live.delivery.done,
            failures: live.delivery.failures,
            since: live.delivery.since,
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

    /// Notes what no note has yet.
    pub(super) fn note(&self, storage: &Storage) {
        let mut live = self.live();
        storage.note_delivery(&self.place, Some(live.delivery.clone()));
        live.noted_changes = live.changes;
        live.noted_done = live.delivery.done;
    }

    fn change(&self, at: Cursor, counts: bool, change: impl FnOnce(&mut Delivery)) {
        let mut live = self.live();
        if live.delivery.since == at.since {
            change(&mut live.delivery);
            live.changes += u64::from(counts);
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Each change is whole when its guard goes.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The progress of one webhook: exact in memory, and slightly behind in the file.
//!
//! After a crash a webhook continues from its last note. A note is never ahead of what was
//! delivered, so events may be sent again and none is left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Timestamp, Webhook};
use bursar_storage::{DeadLetter, Delivery, DeliveryError, Storage, WebhookPlace};
use tokio::sync::Notify;

/// The number of skipped events after which a note is worthwhile.
const SKIPPED_MAX: u64 = 1_000;

/// The progress of a webhook.
pub(super) struct Progress {
    pub(super) place: WebhookPlace,
    /// The number of the record that created the webhook.
    pub(super) born: u64,
    live: Mutex<Live>,
    /// Notified when an operator has made a change that must take effect immediately.
    pub(super) poke: Notify,
}

struct Live {
    delivery: Delivery,
    /// The number of changes, and the number of changes in the last note.
    changes: u64,
    noted_changes: u64,
    /// The last event in the last note.
    noted_done: u64,
}

/// The place of a webhook in its economy's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    pub(super) done: u64,
    pub(super) failures: u32,
    /// The number of the record that set this place. A result is ignored if another record has set
    /// the place since.
    pub(super) since: u64,
}

impl Progress {
    /// Creates the progress from a note.
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

    /// Applies a replay that the progress does not contain yet. It empties the dead letters: those
    /// after the place are sent again, and the others are given up.
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

    /// Returns true if a note is worthwhile. Skipped events alone are worth a note only if there
    /// are many of them, or at the end.
    pub(super) fn is_worth_a_note(&self, at_the_end: bool) -> bool {
        let live = self.live();
        let skipped = live.delivery.done.abs_diff(live.noted_done);
        let many = if at_the_end { 1 } else { SKIPPED_MAX };
        live.changes != live.noted_changes || skipped >= many
    }

    /// Records that an event was skipped because of its kind.
    pub(super) fn skipped(&self, at: Cursor, seq: u64) {
        self.change(at, false, |delivery| delivery.done = seq);
    }

    /// Records that an event was accepted.
    pub(super) fn accepted(&self, at: Cursor, seq: u64, when: Timestamp) {
        self.change(at, true, |delivery| {
            delivery.done = seq;
            delivery.failures = 0;
            delivery.last_success = Some(when);
        });
    }

    /// Records a failed attempt that is followed by another one. `failures` is the number of
    /// attempts that count.
    pub(super) fn failed(&self, at: Cursor, failures: u32, error: DeliveryError) {
        self.change(at, true, |delivery| {
            delivery.failures = failures;
            delivery.last_error = Some(error);
        });
    }

    /// Records that the webhook was disabled. The event is attempted again after the webhook is
    /// enabled.
    pub(super) fn stopped(&self, at: Cursor, error: DeliveryError) {
        self.change(at, true, |delivery| {
            delivery.failures = 0;
            delivery.last_error = Some(error);
        });
    }

    /// Records that an event was given up, and continues with the next one.
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

    /// Writes a note of the progress.
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
        // Every change completes before its guard is dropped, so a panic elsewhere leaves a valid
        // state.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The notes of the progress of webhooks. They are in memory, and are written periodically next to the
//! log.
//!
//! A note is written in the txn of the next commit, or in one of its own if the writer is idle, so that no
//! commit waits for another sync. A note that is not written before the process ends is lost; its events are
//! then delivered again. The audit does not check notes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libsql::Value;
use tokio::sync::watch;

use crate::database::{Database, Statement, text};
use crate::error::StorageError;
use crate::rows;
use crate::webhooks::delivery::{Delivery, WebhookPlace};

/// The largest number of notes that one txn writes.
pub(crate) const NOTES_AT_ONCE: usize = 64;

/// All notes of a file.
pub(crate) struct Notes {
    state: Mutex<NotesState>,
    /// A counter of the txns that have written notes.
    written: watch::Sender<u64>,
}

struct NotesState {
    kept: HashMap<WebhookPlace, Arc<Delivery>>,
    /// The webhooks whose last note the file does not have yet, each with the number of its change.
    unwritten: BTreeMap<WebhookPlace, u64>,
    changes: u64,
}

/// A change to the note of one webhook that is to be written.
pub(crate) struct Note {
    place: WebhookPlace,
    change: u64,
    /// The new progress; none to remove the note.
    delivery: Option<Arc<Delivery>>,
}

impl Note {
    /// Creates a note that is written with others, outside of a server.
    pub(crate) fn of(place: WebhookPlace, delivery: Delivery) -> Self {
        Self {
            place,
            change: 0,
            delivery: Some(Arc::new(delivery)),
        }
    }
}

impl Notes {
    pub(crate) fn new(kept: HashMap<WebhookPlace, Arc<Delivery>>) -> Self {
        let state = NotesState {
            kept,
            unwritten: BTreeMap::new(),
            changes: 0,
        };
        Self {
            state: Mutex::new(state),
            written: watch::Sender::new(0),
        }
    }

    /// Returns the progress of a webhook by its last note.
    pub(crate) fn get(&self, place: &WebhookPlace) -> Option<Arc<Delivery>> {
        self.state().kept.get(place).cloned()
    }

    /// Returns the webhooks with a note.
    pub(crate) fn places(&self) -> Vec<WebhookPlace> {
        self.state().kept.keys().cloned().collect()
    }

    /// Sets the progress of a webhook, or removes it.
    pub(crate) fn set(&self, place: &WebhookPlace, delivery: Option<Delivery>) {
        let state = &mut *self.state();
        match delivery {
            Some(delivery) => drop(state.kept.insert(place.clone(), Arc::new(delivery))),
            None => drop(state.kept.remove(place)),
        }
        state.changes += 1;
        state.unwritten.insert(place.clone(), state.changes);
    }

    /// Returns some notes that are not in the file yet.
    pub(crate) fn unwritten(&self) -> Vec<Note> {
        let state = self.state();
        let notes = state.unwritten.iter().take(NOTES_AT_ONCE);
        let note = |(place, change): (&WebhookPlace, &u64)| Note {
            place: place.clone(),
            change: *change,
            delivery: state.kept.get(place).cloned(),
        };
        notes.map(note).collect()
    }

    /// Marks notes as written.
    pub(crate) fn wrote(&self, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let mut state = self.state();
        for note in notes {
            // A change after the write still has to be written.
            if state.unwritten.get(&note.place) == Some(&note.change) {
                state.unwritten.remove(&note.place);
            }
        }
        drop(state);
        self.written.send_modify(|txns| *txns += 1);
    }

    /// Returns true if the file has the last note of a webhook.
    pub(crate) fn is_written(&self, place: &WebhookPlace) -> bool {
        !self.state().unwritten.contains_key(place)
    }

    /// Waits until the file has the last note of a webhook.
    pub(crate) async fn until_written(&self, place: &WebhookPlace) {
        let mut written = self.written.subscribe();
        while !self.is_written(place) {
            // The sender lives as long as this waits.
            drop(written.changed().await);
        }
    }

    fn state(&self) -> MutexGuard<'_, NotesState> {
        // Each change is complete when its guard is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Notes {
    fn default() -> Self {
        Self::new(HashMap::new())
    }
}

/// Writes notes, in a txn.
pub(crate) struct NoteTable {
    set: Statement,
    remove: Statement,
}

impl NoteTable {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            set: database.prepare(
                "INSERT INTO webhook_progress (economy, webhook, progress) VALUES (?1, ?2, ?3)
                 ON CONFLICT (economy, webhook) DO UPDATE SET progress = excluded.progress",
            )?,
            remove: database
                .prepare("DELETE FROM webhook_progress WHERE economy = ?1 AND webhook = ?2")?,
        })
    }

    pub(crate) fn write(&mut self, notes: &[Note]) -> Result<(), StorageError> {
        for note in notes {
            let (economy, webhook) = &note.place;
            let mut values: Vec<Value> = vec![text(economy.as_str()), text(webhook.as_str())];
            match &note.delivery {
                Some(delivery) => {
                    values.push(text(rows::to_json(&**delivery)?));
                    self.set.run(values)?;
                }
                None => self.remove.run(values)?,
            }
        }
        Ok(())
    }
}

/// Reads all notes of a file. A note that cannot be read is left out; its webhook starts again.
pub(crate) fn load(
    database: &Database,
) -> Result<HashMap<WebhookPlace, Arc<Delivery>>, StorageError> {
    let mut read = database.prepare(
        "SELECT CAST(economy AS BLOB), CAST(webhook AS BLOB), CAST(progress AS BLOB)
         FROM webhook_progress",
    )?;
    let mut notes = HashMap::new();
    read.each(Vec::new(), |row| {
        let note = || -> Result<_, StorageError> {
            let place = (rows::name(row, 0, 0)?, rows::name(row, 1, 0)?);
            let progress = rows::string(row, 2, 0)?;
            let progress = serde_json::from_str(&progress);
            Ok((place, progress.map_err(|error| StorageError::damaged(0, error))?))
        };
        match note() {
            Ok((place, delivery)) => drop(notes.insert(place, Arc::new(delivery))),
            Err(error) => {
                tracing::warn!(%error, "a note of a webhook cannot be read: it sends again from its start");
            }
        }
        Ok(true)
    })?;
    Ok(notes)
}

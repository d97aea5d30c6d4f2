//! Notes of how far webhooks have come: kept in memory, and written now and then beside the journal.
//!
//! A note goes into the txn of the next commit, or into one of its own when the writer is idle, so that
//! no commit waits for a sync more. What is noted and not yet written when the process dies is lost: then
//! the events since are delivered again. The audit says nothing of notes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libsql::Value;
use tokio::sync::watch;

use crate::database::{Database, Statement, text};
use crate::error::StorageError;
use crate::rows;
use crate::webhooks::delivery::{Delivery, WebhookPlace};

/// Notes that one txn writes.
pub(crate) const NOTES_AT_ONCE: usize = 64;

/// All notes of a file.
pub(crate) struct Notes {
    state: Mutex<NotesState>,
    /// Rises with each txn that has written some.
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
    /// None to remove what is there.
    delivery: Option<Arc<Delivery>>,
}

impl Note {
    /// A note that is written with others, outside of a server.
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

    /// The webhooks that there is a note of.
    pub(crate) fn places(&self) -> Vec<WebhookPlace> {
        self.state().kept.keys().cloned().collect()
    }

    /// Notes how far a webhook has come, or that it is not there any more.
    pub(crate) fn set(&self, place: &WebhookPlace, delivery: Option<Delivery>) {
        let state = &mut *self.state();
        match delivery {
            Some(delivery) => drop(state.kept.insert(place.clone(), Arc::new(delivery))),
            None => drop(state.kept.remove(place)),
        }
        state.changes += 1;
        state.unwritten.insert(place.clone(), state.changes);
    }

    /// Some of what the file does not have yet.
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

    /// The file has these now.
    pub(crate) fn wrote(&self, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let mut state = self.state();
        for note in notes {
            // What was noted meanwhile is still to be written.
            if state.unwritten.get(&note.place) == Some(&note.change) {
                state.unwritten.remove(&note.place);
            }
        }
        drop(state);
        self.written.send_modify(|txns| *txns += 1);
    }

    /// Returns whether the file has the last note of a webhook.
    pub(crate) fn is_written(&self, place: &WebhookPlace) -> bool {
        !self.state().unwritten.contains_key(place)
    }

    /// Waits until the file has the last note of a webhook.
    pub(crate) async fn until_written(&self, place: &WebhookPlace) {
        let mut written = self.written.subscribe();
        while !self.is_written(place) {
            // The sender is here for as long as this waits.
            drop(written.changed().await);
        }
    }

    fn state(&self) -> MutexGuard<'_, NotesState> {
        // Each change is whole when its guard goes.
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

/// Reads all notes of a file. One that cannot be read is left out: its webhook begins anew.
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

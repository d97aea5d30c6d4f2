//! A writer whose every step on a real file is told to the test, which may let it fail there.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bursar_ledger::{EconomyId, Timestamp};
use tokio::sync::oneshot;

use super::{guild, time};
use crate::commit::maintenance::{MaintenanceConfig, Portion};
use crate::commit::shared::Shared;
use crate::commit::submission::{QueuedSubmission, Receiver, Render, Submission};
use crate::commit::writer::Writer;
use crate::error::{StorageError, SubmitError};
use crate::journal::{FileJournal, Journal, NewRecord};
use crate::record::KeyLookup;
use crate::request::Request;
use crate::state::State;
use crate::time::clock::{Clock, Mark};
use crate::webhooks::notes::Note;

/// A step of the writer, before or after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Reopening,
    /// A batch of so many records is there.
    Batch(u64),
    Appending,
    Appended,
    WritingPieces(usize),
    ClosedCheckpoint,
    RemovingPieces,
    RemovedPieces {
        some: bool,
    },
    OrderingMovements(u64),
    Tidying,
}

type Watch = Arc<Mutex<dyn FnMut(&Shared, Step) -> Result<(), StorageError> + Send>>;

/// A journal on a real file, and who watches it.
pub(super) struct Watched {
    file: FileJournal,
    shared: Arc<Shared>,
    watch: Watch,
}

impl Watched {
    fn tell(&self, step: Step) -> Result<(), StorageError> {
        tell(&self.watch, &self.shared, step)
    }
}

fn tell(watch: &Watch, shared: &Shared, step: Step) -> Result<(), StorageError> {
    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
    watch(shared, step)
}

impl Journal for Watched {
    fn load(&mut self) -> Result<State, StorageError> {
        self.file.load()
    }
    fn checkpointed(&self) -> u64 {
        self.file.checkpointed()
    }
    fn epoch(&self) -> u64 {
        self.file.epoch()
    }
    fn find(
        &mut self,
        economy: &EconomyId,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>, StorageError> {
        self.file.find(economy, key, asked)
    }
    fn append(
        &mut self,
        batch: &[NewRecord],
        notes: &[Note],
        mark: Option<&Mark>,
    ) -> Result<(), StorageError> {
        if batch.is_empty() && notes.is_empty() {
            // A mark alone is left at the end.
            return self.file.append(batch, notes, mark);
        }
        self.tell(Step::Batch(batch.len() as u64))?;
        self.tell(Step::Appending)?;
        self.file.append(batch, notes, mark)?;
        self.tell(Step::Appended)
    }
    fn begin_checkpoint(&mut self, state: &State) -> Result<u64, StorageError> {
        self.file.begin_checkpoint(state)
    }
    fn add_pieces(
        &mut self,
        checkpoint: u64,
        first: u64,
        pieces: &[(EconomyId, String)],
    ) -> Result<(), StorageError> {
        self.tell(Step::WritingPieces(pieces.len()))?;
        self.file.add_pieces(checkpoint, first, pieces)
    }
    fn close_checkpoint(&mut self, checkpoint: u64, pieces: u64) -> Result<(), StorageError> {
        self.file.close_checkpoint(checkpoint, pieces)?;
        self.tell(Step::ClosedCheckpoint)
    }
    fn remove_old_pieces(&mut self, portion: Portion) -> Result<bool, StorageError> {
        self.tell(Step::RemovingPieces)?;
        let some = self.file.remove_old_pieces(portion)?;
        self.tell(Step::RemovedPieces { some })?;
        Ok(some)
    }
    fn ordered(&self) -> u64 {
        self.file.ordered()
    }
    fn order_movements(&mut self, most: u64) -> Result<(), StorageError> {
        self.tell(Step::OrderingMovements(most))?;
        self.file.order_movements(most)
    }
    fn tidy(&mut self) -> Result<u64, StorageError> {
        self.tell(Step::Tidying)?;
        self.file.tidy()
    }
    fn close(self) -> Result<(), StorageError> {
        self.file.close()
    }
}

/// In small portions, and without long pauses.
pub(super) fn pace() -> MaintenanceConfig {
    MaintenanceConfig {
        checkpoint_records: u64::MAX,
        written: Portion {
            pieces: 2,
            bytes: usize::MAX,
        },
        removed: Portion {
            pieces: 3,
            bytes: usize::MAX,
        },
        ordered_when_idle: u64::MAX,
        ordered_anyway: u64::MAX,
        ordered_least: 2,
        ordered_most: u64::MAX,
        ordered_at_once: u64::MAX,
        tidy_every: Duration::ZERO,
        tidy_work: u64::MAX,
        notes_every: Duration::ZERO,
        mark_every: Duration::MAX,
        log_frames_left: 100,
        reopen_pause: Duration::from_millis(1),
        reopen_pause_max: Duration::from_millis(2),
        reopen_tries: 10,
    }
}

/// A writer on a file, not yet running, and what it shares.
pub(super) fn prepare(
    path: &Path,
    render: Render,
    pace: MaintenanceConfig,
    watch: impl FnMut(&Shared, Step) -> Result<(), StorageError> + Send + 'static,
) -> (Writer<Watched>, Arc<Shared>) {
    let mut file = FileJournal::open(path, Timestamp(1)).expect("the file");
    let state = file.load().expect("a state");
    let notes = file.load_notes().expect("the notes");
    let shared = Arc::new(Shared::new(state.clone(), notes));
    let watch: Watch = Arc::new(Mutex::new(watch));
    let reopen = {
        let path = path.to_owned();
        let shared = Arc::clone(&shared);
        let watch = Arc::clone(&watch);
        let identity = file.identity().clone();
        Box::new(move || {
            tell(&watch, &shared, Step::Reopening)?;
            Ok(Watched {
                file: FileJournal::reopen(&identity, &path, Timestamp(1))?,
                shared: Arc::clone(&shared),
                watch: Arc::clone(&watch),
            })
        })
    };
    let journal = Watched {
        file,
        shared: Arc::clone(&shared),
        watch,
    };
    let shared_with = Arc::clone(&shared);
    let clock = Clock::begin(time());
    let writer = Writer::new(shared_with, journal, reopen, state, clock, render, pace);
    (writer, shared)
}

/// Lets a request wait for the writer.
pub(super) fn push(shared: &Shared, submission: Submission) -> Result<Receiver, SubmitError> {
    let (respond, receiver) = oneshot::channel();
    let weight = submission.weight();
    let job = QueuedSubmission {
        submission,
        respond,
    };
    shared.queue.push(&guild(), weight, job)?;
    Ok(receiver)
}

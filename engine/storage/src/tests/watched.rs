//! A writer on a real file. It reports each of its steps to the test, which can make the step fail.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bursar_ledger::Timestamp;

use super::time;
use crate::commit::gathering::Gathering;
use crate::commit::maintenance::MaintenanceConfig;
use crate::commit::shared::Shared;
use crate::commit::submission::{Receiver, Render, Submission, submit};
use crate::commit::writer::Writer;
use crate::error::{StorageError, SubmitError};
use crate::index::IndexConfig;
use crate::log::file::FileLog;
use crate::log::store::{Commit, Log};
use crate::log::store::{Epoch, Portion};
use crate::record::{EconomyNumber, KeyLookup};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::{Clock, Mark};
use crate::webhooks::notes::Note;

/// A step of the writer that the watching function sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Reopening,
    /// A batch with this number of records is about to be appended.
    Batch(u64),
    Appending,
    Appended,
    WritingPiece,
    ClosedCheckpoint,
    RemovingPieces,
    RemovedPieces {
        some: bool,
    },
    Tidying,
}

type Watch = Arc<Mutex<dyn FnMut(&Shared, Step) -> Result<(), StorageError> + Send>>;

/// A log on a real file, and the function that watches it.
pub(super) struct Watched {
    file: FileLog,
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

impl Log for Watched {
    fn load(&mut self) -> Result<State, StorageError> {
        self.file.load()
    }
    fn checkpointed(&self) -> u64 {
        self.file.checkpointed()
    }
    fn epoch(&self) -> Epoch {
        self.file.epoch()
    }
    fn find(
        &mut self,
        economy: EconomyNumber,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>, StorageError> {
        self.file.find(economy, key, asked)
    }
    fn append(
        &mut self,
        commit: Commit,
        notes: &[Note],
        mark: Option<&Mark>,
    ) -> Result<(), StorageError> {
        let records: u64 = commit.frames.iter().map(|frame| frame.records).sum();
        if records == 0 && notes.is_empty() {
            // A commit of a mark without records happens only at the end.
            return self.file.append(commit, notes, mark);
        }
        self.tell(Step::Batch(records))?;
        self.tell(Step::Appending)?;
        self.file.append(commit, notes, mark)?;
        self.tell(Step::Appended)
    }
    fn is_behind(&self) -> Result<bool, StorageError> {
        self.file.is_behind()
    }
    fn begin_checkpoint(&mut self, state: &State) -> Result<u64, StorageError> {
        self.file.begin_checkpoint(state)
    }
    fn add_piece(
        &mut self,
        checkpoint: u64,
        ordinal: u64,
        piece: &[u8],
    ) -> Result<(), StorageError> {
        self.tell(Step::WritingPiece)?;
        self.file.add_piece(checkpoint, ordinal, piece)
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
    fn tidy(&mut self) -> Result<u64, StorageError> {
        self.tell(Step::Tidying)?;
        self.file.tidy()
    }
    fn close(self) -> Result<(), StorageError> {
        self.file.close()
    }
}

/// Returns settings for maintenance in small portions and without long pauses.
pub(super) fn pace() -> MaintenanceConfig {
    MaintenanceConfig {
        checkpoint_records: u64::MAX,
        checkpoint_records_max: 0,
        piece_bytes: 50,
        removed: Portion {
            pieces: 2,
            bytes: usize::MAX,
        },
        tidy_every: Duration::ZERO,
        tidy_bytes: u64::MAX,
        gathering: Gathering::none(),
        notes_every: Duration::ZERO,
        mark_every: Duration::MAX,
        log_frames_left: 100,
        reopen_pause: Duration::from_millis(1),
        reopen_pause_max: Duration::from_millis(2),
        reopen_tries: 10,
        index: IndexConfig::default(),
    }
}

/// Creates a writer on a file without starting it. Returns the writer and the state that it shares.
pub(super) fn prepare(
    path: &Path,
    render: Render,
    pace: MaintenanceConfig,
    watch: impl FnMut(&Shared, Step) -> Result<(), StorageError> + Send + 'static,
) -> (Writer<Watched>, Arc<Shared>) {
    let mut file = FileLog::open(path, Timestamp(1)).expect("the file");
    let state = file.load().expect("a state");
    let notes = file.load_notes().expect("the notes");
    let shared = Arc::new(Shared::new(state.clone(), notes));
    let watch: Watch = Arc::new(Mutex::new(watch));
    let reopen = {
        let path = path.to_owned();
        let shared = Arc::clone(&shared);
        let watch = Arc::clone(&watch);
        let identity = file.identity().clone();
        let index = file.index();
        Box::new(move || {
            tell(&watch, &shared, Step::Reopening)?;
            Ok(Watched {
                file: FileLog::reopen(&identity, &path, &index, Timestamp(1))?,
                shared: Arc::clone(&shared),
                watch: Arc::clone(&watch),
            })
        })
    };
    let log = Watched {
        file,
        shared: Arc::clone(&shared),
        watch,
    };
    let shared_with = Arc::clone(&shared);
    let clock = Clock::begin(time());
    let writer = Writer::new(shared_with, log, reopen, state, clock, render, pace);
    (writer.expect("a writer"), shared)
}

/// Lets a request wait for the writer.
pub(super) fn push(shared: &Shared, submission: Submission) -> Result<Receiver, SubmitError> {
    submit(&shared.queue, submission)
}

//! The work of the writer beside requests, in slices, so that no request waits for all of it. The work
//! that is done between two commits is less than the work of a commit.

use std::time::{Duration, Instant};

use bursar_ledger::{CheckpointEntry, EconomyId};

use crate::commit::writer::WORK_MAX;
use crate::error::StorageError;
use crate::journal::Journal;
use crate::rows;
use crate::state::State;

/// Frames that may be left in the write-ahead log before long reads make way: 16 MiB.
const LOG_FRAMES_LEFT_MAX: u64 = 4_096;

/// Records after which the state is written out again.
const CHECKPOINT_RECORDS: u64 = 50_000;
/// Pieces of a checkpoint that are written between two batches.
const PIECES_WRITTEN: usize = 256;
/// Bytes of them, which the last one may cross.
const PIECES_WRITTEN_BYTES: usize = 128 << 10;
/// Pieces of an old checkpoint that are removed between two batches.
const PIECES_REMOVED: usize = 1_024;
/// Bytes of them, which the last one may cross.
const PIECES_REMOVED_BYTES: usize = 512 << 10;
/// Movements that gather before they are put in the order of accounts, if there is nothing else to do …
const ORDERED_WHEN_IDLE: u64 = 4_096;
/// … and if there is.
const ORDERED_ANYWAY: u64 = 100_000;
/// Movements that are put in that order between two batches, at least …
const ORDERED_LEAST: u64 = 512;
/// … and at most: more than a commit brings, but for an atomic batch.
const ORDERED_MOST: u64 = 1_280;
/// Movements beyond which more are put in order than that.
const ORDERED_AT_ONCE: u64 = 1_000_000;
/// The time after which the write-ahead log is copied into the file …
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// … or the work after which it is.
const TIDY_WORK: u64 = 8 * WORK_MAX;
/// The time after which notes are written if nothing else is committed.
const NOTES_EVERY: Duration = Duration::from_secs(1);
/// The time between two marks of the clock.
const MARK_EVERY: Duration = Duration::from_secs(10);
/// The pause before the second try to open a file that failed …
const REOPEN_PAUSE: Duration = Duration::from_millis(50);
/// … and before any.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Tries to open a file that failed before it is given up: some ten minutes, time to empty a full disk,
/// and not for ever without anybody knowing.
const REOPEN_TRIES: u32 = 300;

/// Writes the state out, so that the next start need not follow what has just been written.
pub(crate) fn leave_checkpoint<J: Journal>(journal: &mut J, state: &State) {
    let mut write = || -> Result<(), StorageError> {
        let mut checkpoint = Slices::begin(journal, state)?;
        while !checkpoint.advance(journal, MaintenanceConfig::standard().written)? {}
        Ok(())
    };
    if let Err(error) = write() {
        // All of it is there; only the next start takes longer.
        tracing::warn!(%error, "the last checkpoint was not written");
    }
}

/// The intervals and portions of the writer's maintenance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaintenanceConfig {
    /// Records after which the state is written out again.
    pub(crate) checkpoint_records: u64,
    /// The portion of a checkpoint that is written between two batches.
    pub(crate) written: Portion,
    /// The portion of an old checkpoint that is removed between two batches.
    pub(crate) removed: Portion,
    /// Movements that may gather before they are put in the order of accounts, if there is nothing
    /// else to do …
    pub(crate) ordered_when_idle: u64,
    /// … and if there is.
    pub(crate) ordered_anyway: u64,
    /// Movements that are put in that order between two batches …
    pub(crate) ordered_least: u64,
    /// … and at most, however many came since …
    pub(crate) ordered_most: u64,
    /// … unless more than this has gathered: then somewhat more than came.
    pub(crate) ordered_at_once: u64,
    /// The time after which the write-ahead log is copied into the file …
    pub(crate) tidy_every: Duration,
    /// … or the work after which it is, if that is sooner.
    pub(crate) tidy_work: u64,
    /// The time after which notes of webhooks are written.
    pub(crate) notes_every: Duration,
    /// The time between two marks of the clock.
    pub(crate) mark_every: Duration,
    /// Frames (pages of 4 KiB) of the write-ahead log that may be left in it because somebody reads for
    /// long. Beyond, reads in slices make way.
    pub(crate) log_frames_left: u64,
    /// The pause before the second try to open a file that failed; each further one is twice as
    /// long …
    pub(crate) reopen_pause: Duration,
    /// … up to this.
    pub(crate) reopen_pause_max: Duration,
    /// Tries to open a file that failed, since work on it last went well, before it is given up.
    pub(crate) reopen_tries: u32,
}

/// Some pieces of a checkpoint: up to a number, and up to a size, which the last one may cross.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    pub(crate) pieces: usize,
    pub(crate) bytes: usize,
}

impl MaintenanceConfig {
    /// As it is in earnest.
    pub(crate) fn standard() -> Self {
        Self {
            checkpoint_records: CHECKPOINT_RECORDS,
            written: Portion {
                pieces: PIECES_WRITTEN,
                bytes: PIECES_WRITTEN_BYTES,
            },
            removed: Portion {
                pieces: PIECES_REMOVED,
                bytes: PIECES_REMOVED_BYTES,
            },
            ordered_when_idle: ORDERED_WHEN_IDLE,
            ordered_anyway: ORDERED_ANYWAY,
            ordered_least: ORDERED_LEAST,
            ordered_most: ORDERED_MOST,
            ordered_at_once: ORDERED_AT_ONCE,
            tidy_every: TIDY_EVERY,
            tidy_work: TIDY_WORK,
            notes_every: NOTES_EVERY,
            mark_every: MARK_EVERY,
            log_frames_left: LOG_FRAMES_LEFT_MAX,
            reopen_pause: REOPEN_PAUSE,
            reopen_pause_max: REOPEN_PAUSE_MAX,
            reopen_tries: REOPEN_TRIES,
        }
    }

    /// Returns the number of movements to put in the order of accounts, of so many that have gathered, if
    /// so many came since the last time. It is more than came: otherwise a steady load would leave more
    /// and more behind.
    pub(crate) fn ordered(&self, gathered: u64, came: u64) -> u64 {
        let enough = came.saturating_add(came / 4).max(self.ordered_least);
        if gathered > self.ordered_at_once {
            enough
        } else {
            enough.min(self.ordered_most)
        }
    }
}

/// The schedule by which the write-ahead log is copied into the file.
pub(crate) struct Tidying {
    /// The time at which it last was.
    at: Instant,
    /// Work that was committed since then.
    work: u64,
    /// True if that was the last thing done between two batches.
    was_last: bool,
}

impl Default for Tidying {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            work: 0,
            was_last: false,
        }
    }
}

impl Tidying {
    /// Notes that so much work was committed.
    pub(crate) fn add(&mut self, work: u64) {
        self.work = self.work.saturating_add(work);
    }

    /// Returns whether it is to be done now; it is never done twice in a row, so that something else is.
    pub(crate) fn is_next(&mut self, pace: &MaintenanceConfig) -> bool {
        let due = self.at.elapsed() >= pace.tidy_every || self.work >= pace.tidy_work;
        let was_last = std::mem::take(&mut self.was_last);
        if !due || was_last {
            return false;
        }
        *self = Self {
            was_last: true,
            ..Self::default()
        };
        true
    }
}

/// A checkpoint on its way to disk, while requests go on.
pub(crate) struct Slices {
    checkpoint: u64,
    written: u64,
    pieces: Box<dyn Iterator<Item = (EconomyId, CheckpointEntry)> + Send>,
}

impl Slices {
    /// Begins to write a state out.
    pub(crate) fn begin(journal: &mut impl Journal, state: &State) -> Result<Self, StorageError> {
        Ok(Self {
            checkpoint: journal.begin_checkpoint(state)?,
            written: 0,
            pieces: Box::new(state.clone().into_pieces()),
        })
    }

    /// Writes the next slice. True once the checkpoint is closed.
    pub(crate) fn advance(
        &mut self,
        journal: &mut impl Journal,
        portion: Portion,
    ) -> Result<bool, StorageError> {
        let mut slice = Vec::new();
        let mut bytes = 0;
        while slice.len() < portion.pieces && bytes < portion.bytes {
            let Some((economy, item)) = self.pieces.next() else {
                break;
            };
            let item = rows::to_json(&item)?;
            bytes += item.len();
            slice.push((economy, item));
        }
        if slice.is_empty() {
            journal.close_checkpoint(self.checkpoint, self.written)?;
            return Ok(true);
        }
        journal.add_pieces(self.checkpoint, self.written, &slice)?;
        self.written += slice.len() as u64;
        Ok(false)
    }
}

//! The maintenance that the writer does between commits, in slices, so that no request waits for all of it.
//! The work between two commits is less than the work of a commit.

use std::time::{Duration, Instant};

use bursar_ledger::{CheckpointEntry, EconomyId};

use crate::commit::writer::WORK_MAX;
use crate::error::StorageError;
use crate::journal::Journal;
use crate::rows;
use crate::state::State;

/// The number of frames that may remain in the write-ahead log before long reads pause: 16 MiB.
const LOG_FRAMES_LEFT_MAX: u64 = 4_096;

/// The number of records after which a checkpoint is written.
const CHECKPOINT_RECORDS: u64 = 50_000;
/// The number of pieces of a checkpoint that are written between two batches.
const PIECES_WRITTEN: usize = 256;
/// The bytes of these pieces, which the last one may exceed.
const PIECES_WRITTEN_BYTES: usize = 128 << 10;
/// The number of pieces of an old checkpoint that are removed between two batches.
const PIECES_REMOVED: usize = 1_024;
/// The bytes of these pieces, which the last one may exceed.
const PIECES_REMOVED_BYTES: usize = 512 << 10;
/// The number of movements after which an idle writer adds them to the index by account.
const ORDERED_WHEN_IDLE: u64 = 4_096;
/// The number of movements after which a busy writer adds them to the index by account.
const ORDERED_ANYWAY: u64 = 100_000;
/// The least number of movements that are added to that index between two batches.
const ORDERED_LEAST: u64 = 512;
/// The largest number of movements that are added between two batches. Only an atomic batch has more.
const ORDERED_MOST: u64 = 1_280;
/// The number of waiting movements beyond which more are added than that.
const ORDERED_AT_ONCE: u64 = 1_000_000;
/// The time after which the write-ahead log is copied into the file.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// The work after which the write-ahead log is copied into the file.
const TIDY_WORK: u64 = 8 * WORK_MAX;
/// The time after which notes are written if nothing else is committed.
const NOTES_EVERY: Duration = Duration::from_secs(1);
/// The time between two marks of the clock.
const MARK_EVERY: Duration = Duration::from_secs(10);
/// The pause before the second attempt to open a file that failed.
const REOPEN_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before an attempt to open a file that failed.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The number of attempts to open a file that failed, before the writer ends. They take about ten minutes,
/// which is enough to free space on a full disk. Afterwards the end of the server shows the failure.
const REOPEN_TRIES: u32 = 300;

/// Writes a checkpoint, so that the next start need not apply the newest records.
pub(crate) fn leave_checkpoint<J: Journal>(journal: &mut J, state: &State) {
    let mut write = || -> Result<(), StorageError> {
        let mut checkpoint = Slices::begin(journal, state)?;
        while !checkpoint.advance(journal, MaintenanceConfig::standard().written)? {}
        Ok(())
    };
    if let Err(error) = write() {
        // The journal is complete; only the next start takes longer.
        tracing::warn!(%error, "the last checkpoint was not written");
    }
}

/// The intervals and the portions of maintenance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaintenanceConfig {
    /// The number of records after which a checkpoint is written.
    pub(crate) checkpoint_records: u64,
    /// The portion of a checkpoint that is written between two batches.
    pub(crate) written: Portion,
    /// The portion of an old checkpoint that is removed between two batches.
    pub(crate) removed: Portion,
    /// The number of movements after which an idle writer adds them to the index by account.
    pub(crate) ordered_when_idle: u64,
    /// The number of movements after which a busy writer adds them to the index by account.
    pub(crate) ordered_anyway: u64,
    /// The least number of movements that are added to that index between two batches.
    pub(crate) ordered_least: u64,
    /// The largest number of movements that are added between two batches.
    pub(crate) ordered_most: u64,
    /// The number of waiting movements beyond which that limit does not hold: somewhat more are added than
    /// came.
    pub(crate) ordered_at_once: u64,
    /// The time after which the write-ahead log is copied into the file.
    pub(crate) tidy_every: Duration,
    /// The work after which the write-ahead log is copied into the file, if that is sooner.
    pub(crate) tidy_work: u64,
    /// The time after which notes of webhooks are written.
    pub(crate) notes_every: Duration,
    /// The time between two marks of the clock.
    pub(crate) mark_every: Duration,
    /// The number of frames (pages of 4 KiB) that may remain in the write-ahead log because of a long read.
    /// Beyond it, reads in slices pause.
    pub(crate) log_frames_left: u64,
    /// The pause before the second attempt to open a file that failed. Each further pause is twice as long.
    pub(crate) reopen_pause: Duration,
    /// The longest pause before an attempt to open a file that failed.
    pub(crate) reopen_pause_max: Duration,
    /// The number of attempts to open a file that failed, since the last success, before the writer ends.
    pub(crate) reopen_tries: u32,
}

/// The limits on some pieces of a checkpoint: a number, and a size that the last piece may exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    pub(crate) pieces: usize,
    pub(crate) bytes: usize,
}

impl MaintenanceConfig {
    /// Returns the configuration of a real server.
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
    /// The time of the last copy.
    at: Instant,
    /// The work that was committed since then.
    work: u64,
    /// True if a copy was the last work between two batches.
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
    /// Counts committed work.
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

/// A checkpoint that is being written while requests are decided.
pub(crate) struct Slices {
    checkpoint: u64,
    written: u64,
    pieces: Box<dyn Iterator<Item = (EconomyId, CheckpointEntry)> + Send>,
}

impl Slices {
    /// Begins a checkpoint of a state.
    pub(crate) fn begin(journal: &mut impl Journal, state: &State) -> Result<Self, StorageError> {
        Ok(Self {
            checkpoint: journal.begin_checkpoint(state)?,
            written: 0,
            pieces: Box::new(state.clone().into_pieces()),
        })
    }

    /// Writes the next slice. Returns true once the checkpoint is closed.
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

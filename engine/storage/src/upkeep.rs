//! What the writer does beside requests, in slices, so that none of them waits for all of it.

use std::time::Duration;

use bursar_ledger::{EconomyId, Item};

use crate::error::StorageError;
use crate::journal::Journal;
use crate::state::State;

/// How often and in which portions the writer looks after the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Records after which the state is written out again.
    pub(crate) checkpoint_records: u64,
    /// Pieces of a checkpoint that are written between two batches.
    pub(crate) pieces_written: usize,
    /// Pieces of an old checkpoint that are removed between two batches.
    pub(crate) pieces_removed: u64,
    /// Movements that may gather before they are put in the order of accounts, if there is nothing
    /// else to do …
    pub(crate) ordered_when_idle: u64,
    /// … and if there is.
    pub(crate) ordered_anyway: u64,
    /// Movements that are put in that order between two batches.
    pub(crate) movements_ordered: u64,
    /// How often the write-ahead log is copied into the file.
    pub(crate) tidy_every: Duration,
    /// The pause before the second try to open a file that failed; each further one is twice as
    /// long …
    pub(crate) reopen_pause: Duration,
    /// … up to this.
    pub(crate) reopen_pause_max: Duration,
}

impl Pace {
    /// As it is in earnest.
    pub(crate) fn standard() -> Self {
        Self {
            checkpoint_records: 50_000,
            pieces_written: 512,
            pieces_removed: 4096,
            ordered_when_idle: 4096,
            ordered_anyway: 100_000,
            movements_ordered: 512,
            tidy_every: Duration::from_secs(1),
            reopen_pause: Duration::from_millis(50),
            reopen_pause_max: Duration::from_secs(2),
        }
    }
}

/// A checkpoint on its way to disk, while requests go on.
pub(crate) struct Slices {
    checkpoint: u64,
    written: u64,
    pieces: Box<dyn Iterator<Item = (EconomyId, Item)> + Send>,
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
        most: usize,
    ) -> Result<bool, StorageError> {
        let slice: Vec<_> = self.pieces.by_ref().take(most).collect();
        if slice.is_empty() {
            journal.close_checkpoint(self.checkpoint, self.written)?;
            return Ok(true);
        }
        journal.add_pieces(self.checkpoint, self.written, &slice)?;
        self.written += slice.len() as u64;
        Ok(false)
    }
}

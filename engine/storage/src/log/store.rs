//! The log as the writer uses it. The trait [`Log`] hides the database from the writer.

use bursar_ledger::Digest;
use bytes::Bytes;

use crate::error::Result;
use crate::index::entry::RecordEntries;
use crate::log::frame::FrameRow;
use crate::record::{EconomyNumber, KeyLookup, Salts};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::Mark;
use crate::webhooks::notes::Note;

/// One opening of a file, and the source of salts for the records that are written during it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) number: u64,
    pub(crate) salts: Salts,
}

/// The limits of one removal of checkpoint pieces: a number of pieces, and a number of bytes that the last piece may
/// exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    pub(crate) pieces: usize,
    pub(crate) bytes: usize,
}

/// The rows of one commit. All of them are written, or none is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commit {
    /// The frames, in order.
    pub(crate) frames: Vec<FrameRow>,
    /// The components that the records register.
    pub(crate) components: Vec<(Digest, Bytes)>,
    /// The additions to the index.
    pub(crate) entries: Vec<RecordEntries>,
}

impl Commit {
    /// Returns the approximate number of bytes that the commit adds to the write-ahead log.
    pub(crate) fn bytes(&self) -> u64 {
        let frames = self.frames.iter().map(|frame| frame.bytes.len());
        let components = self.components.iter().map(|(_, bytes)| bytes.len());
        let bytes: usize = frames.chain(components).sum();
        (bytes as u64).saturating_add(COMMIT_BYTES)
    }
}

/// The size of the pages that a commit writes besides its frames, in bytes: the first page of the file, and the
/// b-tree pages on the path to the newest frame.
const COMMIT_BYTES: u64 = 3 * 4_096;

/// A store that makes commits durable.
pub(crate) trait Log {
    /// Loads the state on disk: the newest closed checkpoint, with all later records checked and applied.
    fn load(&mut self) -> Result<State>;

    /// Returns the number of the record at which the loaded checkpoint was taken; 0 if none was loaded.
    fn checkpointed(&self) -> u64;

    /// Returns the epoch, which is part of every record.
    fn epoch(&self) -> Epoch;

    /// Looks up an idempotency key and compares its request with `asked`.
    fn find(
        &mut self,
        economy: EconomyNumber,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>>;

    /// Makes a commit durable with some notes and a mark, all or nothing. After an error the commit may be durable
    /// or not.
    fn append(&mut self, commit: Commit, notes: &[Note], mark: Option<&Mark>) -> Result<()>;

    /// Returns true if the index is so far behind the log that nothing should be appended for a while. Fails if it is
    /// behind because it cannot be written.
    fn is_behind(&self) -> Result<bool>;

    /// Begins a checkpoint of a state, and returns its number.
    fn begin_checkpoint(&mut self, state: &State) -> Result<u64>;

    /// Adds a piece to a checkpoint that was begun.
    fn add_piece(&mut self, checkpoint: u64, ordinal: u64, piece: &[u8]) -> Result<()>;

    /// Closes a checkpoint with this number of pieces. Starts use it from then on.
    fn close_checkpoint(&mut self, checkpoint: u64, pieces: u64) -> Result<()>;

    /// Removes one portion of the pieces of older checkpoints. Returns false if there were none.
    fn remove_old_pieces(&mut self, portion: Portion) -> Result<bool>;

    /// Copies the write-ahead log into the file, as far as readers allow, and checks that the file is still
    /// at its path. Returns the number of frames of the write-ahead log if some could not be copied, and otherwise 0.
    fn tidy(&mut self) -> Result<u64>;

    /// Closes the file in an orderly way. It is then complete without its write-ahead log, unless another process
    /// still reads it.
    fn close(self) -> Result<()>;
}

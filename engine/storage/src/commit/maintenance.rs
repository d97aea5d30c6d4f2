//! The maintenance that the writer does between commits, in slices, so that no request waits for all of it.
//! The work between two commits is less than the work of a commit.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use crate::checkpoint::pieces;
use crate::commit::gathering::Gathering;
use crate::error::StorageError;
use crate::index::IndexConfig;
use crate::log::store::{Log, Portion};
use crate::state::State;

/// The number of frames that may remain in the write-ahead log before long reads pause: 16 MiB.
const LOG_FRAMES_LEFT_MAX: u64 = 4_096;

/// The least number of records after which a checkpoint is written.
const CHECKPOINT_RECORDS: u64 = 50_000;
/// The largest number of records after which a checkpoint is written. A start applies at most this number, which takes
/// a few seconds.
const CHECKPOINT_RECORDS_MAX: u64 = 1_000_000;
/// The length of a piece of a checkpoint before compression, in bytes. The last entry may exceed it.
const PIECE_BYTES: usize = 256 << 10;
/// The number of pieces of an old checkpoint that are removed between two batches.
const PIECES_REMOVED: usize = 8;
/// The bytes of these pieces, which the last one may exceed.
const PIECES_REMOVED_BYTES: usize = 512 << 10;
/// The time after which the write-ahead log is copied into the file.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// The bytes of commits after which the write-ahead log is copied into the file. A longer log makes each copy, and so
/// the wait of the requests behind it, longer.
const TIDY_BYTES: u64 = 4 << 20;
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
pub(crate) fn leave_checkpoint<J: Log>(log: &mut J, state: &State) {
    let mut write = || -> Result<(), StorageError> {
        let mut checkpoint = Slices::begin(log, state, PIECE_BYTES)?;
        while checkpoint.advance_now(log)? != Advance::Closed {}
        Ok(())
    };
    if let Err(error) = write() {
        // The log is complete; only the next start takes longer.
        tracing::warn!(%error, "the last checkpoint was not written");
    }
}

/// The intervals and the portions of maintenance.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceConfig {
    /// The least number of records after which a checkpoint is written.
    pub(crate) checkpoint_records: u64,
    /// The largest number of records after which a checkpoint is written.
    pub(crate) checkpoint_records_max: u64,
    /// The length of a piece of a checkpoint before compression, in bytes.
    pub(crate) piece_bytes: usize,
    /// The portion of an old checkpoint that is removed between two batches.
    pub(crate) removed: Portion,
    /// The time after which the write-ahead log is copied into the file.
    pub(crate) tidy_every: Duration,
    /// The bytes of commits after which the write-ahead log is copied into the file, if that is sooner.
    pub(crate) tidy_bytes: u64,
    /// The bounds of the gathering of requests before a commit.
    pub(crate) gathering: Gathering,
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
    /// The sizes of the index.
    pub(crate) index: IndexConfig,
}

impl MaintenanceConfig {
    /// Returns the configuration of a real server.
    pub fn standard() -> Self {
        Self {
            checkpoint_records: CHECKPOINT_RECORDS,
            checkpoint_records_max: CHECKPOINT_RECORDS_MAX,
            piece_bytes: PIECE_BYTES,
            removed: Portion {
                pieces: PIECES_REMOVED,
                bytes: PIECES_REMOVED_BYTES,
            },
            tidy_every: TIDY_EVERY,
            tidy_bytes: TIDY_BYTES,
            gathering: Gathering::standard(),
            notes_every: NOTES_EVERY,
            mark_every: MARK_EVERY,
            log_frames_left: LOG_FRAMES_LEFT_MAX,
            reopen_pause: REOPEN_PAUSE,
            reopen_pause_max: REOPEN_PAUSE_MAX,
            reopen_tries: REOPEN_TRIES,
            index: IndexConfig::default(),
        }
    }

    /// Returns a configuration under which checkpoints, copies of the write-ahead log, full tails and merges of the
    /// index happen all the time, so that tests meet them.
    pub fn frequent() -> Self {
        Self {
            checkpoint_records: 24,
            checkpoint_records_max: 24,
            piece_bytes: 512,
            removed: Portion {
                pieces: 2,
                bytes: usize::MAX,
            },
            tidy_every: Duration::from_millis(20),
            tidy_bytes: 96 << 10,
            reopen_pause: Duration::from_millis(1),
            reopen_pause_max: Duration::from_millis(4),
            reopen_tries: 12,
            index: IndexConfig {
                tail_records: 8,
                tail_sides: 64,
                fan_out: 2,
                frozen_max: 3,
                retry_pause: Duration::from_millis(5),
            },
            ..Self::standard()
        }
    }

    /// Returns the configuration with another number of attempts to open a file that failed.
    #[must_use]
    pub fn with_reopen_tries(self, reopen_tries: u32) -> Self {
        Self {
            reopen_tries,
            ..self
        }
    }

    /// Returns the number of records after which a checkpoint of a state is written: as many as it has accounts, within
    /// limits, so that checkpoints cost each record about as much in a large file as in a small one.
    pub(crate) fn checkpoint_due(&self, state: &State) -> u64 {
        let accounts = state.accounts();
        accounts
            .min(self.checkpoint_records_max)
            .max(self.checkpoint_records)
    }
}

/// The schedule by which the write-ahead log is copied into the file.
pub(crate) struct Tidying {
    /// The time of the last copy.
    at: Instant,
    /// The bytes that were committed since then.
    bytes: u64,
    /// True if a copy was the last work between two batches.
    was_last: bool,
}

impl Default for Tidying {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            bytes: 0,
            was_last: false,
        }
    }
}

impl Tidying {
    /// Counts committed bytes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Returns true if this task is due. It is never due twice in a row, so that other tasks are done, too.
    pub(crate) fn is_next(&mut self, pace: &MaintenanceConfig) -> bool {
        let due = self.at.elapsed() >= pace.tidy_every || self.bytes >= pace.tidy_bytes;
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
    /// True if the next piece was not encoded yet when it was looked for.
    waits: bool,
    pieces: Receiver<EncodedPiece>,
}

/// A message of the thread that encodes a checkpoint. A thread that ended by a panic has sent no `End`.
enum EncodedPiece {
    Piece(Vec<u8>),
    Failed(StorageError),
    /// All pieces were sent.
    End,
}

/// The result of advancing a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advance {
    /// A piece was written.
    Wrote,
    /// The next piece is not encoded yet.
    Waits,
    /// The checkpoint is closed.
    Closed,
}

/// The number of encoded pieces that wait for the writer.
const PIECES_READY: usize = 2;

/// The time that the writer waits for a piece that is not encoded yet, unless a request comes. Without it an idle
/// writer would look for the piece all the time.
const PIECE_PATIENCE: Duration = Duration::from_millis(1);

impl Slices {
    /// Begins a checkpoint of a state.
    pub(crate) fn begin(
        log: &mut impl Log,
        state: &State,
        piece_bytes: usize,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            checkpoint: log.begin_checkpoint(state)?,
            written: 0,
            waits: false,
            pieces: encode(pieces(state.clone(), piece_bytes))?,
        })
    }

    /// Returns the time that the writer waits for a request before it looks for the next piece.
    pub(crate) fn patience(&self) -> Duration {
        if self.waits {
            PIECE_PATIENCE
        } else {
            Duration::ZERO
        }
    }

    /// Writes the next piece if it is encoded.
    pub(crate) fn advance(&mut self, log: &mut impl Log) -> Result<Advance, StorageError> {
        let received = self.pieces.try_recv();
        self.waits = matches!(received, Err(TryRecvError::Empty));
        match received {
            Ok(encoded) => self.write(log, encoded),
            Err(TryRecvError::Empty) => Ok(Advance::Waits),
            Err(TryRecvError::Disconnected) => Err(not_encoded()),
        }
    }

    /// Waits for the next piece and writes it.
    pub(crate) fn advance_now(&mut self, log: &mut impl Log) -> Result<Advance, StorageError> {
        let encoded = self.pieces.recv().map_err(|_| not_encoded())?;
        self.write(log, encoded)
    }

    fn write(
        &mut self,
        log: &mut impl Log,
        encoded: EncodedPiece,
    ) -> Result<Advance, StorageError> {
        match encoded {
            EncodedPiece::Piece(piece) => {
                log.add_piece(self.checkpoint, self.written, &piece)?;
                self.written += 1;
                Ok(Advance::Wrote)
            }
            EncodedPiece::Failed(error) => Err(error),
            EncodedPiece::End => {
                log.close_checkpoint(self.checkpoint, self.written)?;
                Ok(Advance::Closed)
            }
        }
    }
}

fn not_encoded() -> StorageError {
    StorageError::damaged(0, "internal error: a checkpoint could not be encoded")
}

/// Encodes the pieces of a checkpoint on a thread of its own, because a large state takes seconds, which requests would
/// wait for. The thread ends early if the receiver is dropped.
fn encode(
    pieces: impl Iterator<Item = Result<Vec<u8>, StorageError>> + Send + 'static,
) -> Result<Receiver<EncodedPiece>, StorageError> {
    let (send, pieces_ready) = sync_channel(PIECES_READY);
    let thread = std::thread::Builder::new().name("checkpoint".into());
    let spawned = thread.spawn(move || {
        for piece in pieces {
            let encoded = piece.map_or_else(EncodedPiece::Failed, EncodedPiece::Piece);
            if send.send(encoded).is_err() {
                return;
            }
        }
        // The receiver may be gone.
        drop(send.send(EncodedPiece::End));
    });
    spawned.map_err(|error| StorageError::damaged(0, error))?;
    Ok(pieces_ready)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bursar_ledger::Timestamp;

    use super::*;
    use crate::log::file::FileLog;

    #[test]
    fn the_writer_waits_only_for_a_piece_that_is_not_encoded_yet() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        let mut log = FileLog::open(&path, Timestamp(1)).expect("the file");
        let (send, pieces) = sync_channel(PIECES_READY);
        let mut slices = Slices {
            checkpoint: log.begin_checkpoint(&State::default()).expect("begun"),
            written: 0,
            waits: false,
            pieces,
        };
        assert_eq!(slices.patience(), Duration::ZERO);
        for piece in 0..3 {
            let advance = slices.advance(&mut log).expect("no failure");
            assert_eq!(advance, Advance::Waits);
            assert_eq!(slices.patience(), PIECE_PATIENCE);
            send.send(EncodedPiece::Piece(vec![piece]))
                .expect("it is received");
            let advance = slices.advance(&mut log).expect("no failure");
            assert_eq!(advance, Advance::Wrote);
            assert_eq!(slices.patience(), Duration::ZERO);
        }
    }

    #[test]
    fn so_many_pieces_are_encoded_ahead() {
        let encoded = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&encoded);
        let pieces = (0..10).map(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![1])
        });
        let ready = encode(pieces).expect("a thread");
        for received in 1..=4 {
            // One more is encoded and waits for its place.
            let most = PIECES_READY + received;
            while encoded.load(Ordering::SeqCst) < most {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(encoded.load(Ordering::SeqCst), most);
            assert!(matches!(ready.recv(), Ok(EncodedPiece::Piece(_))));
        }
        drop(ready);
    }

    #[test]
    fn the_end_follows_the_last_piece_and_a_panic_sends_none() {
        let whole = encode([Ok(vec![1])].into_iter()).expect("a thread");
        let whole: Vec<EncodedPiece> = whole.iter().collect();
        assert!(matches!(
            whole[..],
            [EncodedPiece::Piece(_), EncodedPiece::End]
        ));
        let pieces = (0..2).map(|number| {
            assert_eq!(number, 0, "an internal error");
            Ok(vec![1])
        });
        let cut = encode(pieces).expect("a thread");
        let cut: Vec<EncodedPiece> = cut.iter().collect();
        assert!(matches!(cut[..], [EncodedPiece::Piece(_)]));
    }
}

//! Checkpoints: the state after some record, stored so that a start need not apply all records.
//!
//! A piece of a checkpoint is lines of text, compressed: `+NUMBER NAME` begins an economy, and each further line is an
//! entry of it, as JSON or, for most accounts, in a shorter form (see [`plain_account`]). The closing row of a checkpoint
//! has a digest of all its pieces, and its record must be in the log. If either check fails, the checkpoint is ignored,
//! and the state is rebuilt from the first record. This gives the same state and takes longer.

mod plain_account;

use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use bursar_ledger::{Books, CheckpointEntry, Digest, EconomyId, Sha256Writer, Timestamp};

use crate::database::{Database, integer};
use crate::error::{Result, StorageError};
use crate::log::reader::{each_frame, head_at};
use crate::record::EconomyNumber;
use crate::rows;
use crate::state::State;

/// The largest length of a piece before compression that is read. The largest entry is far smaller.
const PIECE_BYTES_READ_MAX: usize = 64 << 20;

/// The number of parsed pieces that wait to be restored.
const PIECES_READY: usize = 4;

/// The compression level of zstd.
const LEVEL: i32 = 1;

/// The newest closed checkpoint of a file.
#[derive(Debug)]
pub(crate) enum Checkpoint {
    /// The file has no closed checkpoint.
    Absent,
    /// The checkpoint is valid.
    Sound(Box<State>),
    /// The checkpoint is damaged, or does not belong to the log.
    Unsound {
        /// The record of the checkpoint.
        record: u64,
        /// A description of the error.
        what: String,
    },
}

/// Creates the pieces of a checkpoint one at a time, so that the caller decides when each is made.
pub(crate) fn pieces(
    state: State,
    piece_bytes: usize,
) -> impl Iterator<Item = Result<Vec<u8>>> + Send {
    let lines = state.into_numbered().flat_map(|(economy, number, books)| {
        let entries = Books::clone(&books).into_entries();
        let first = CheckpointLine::Economy(economy, number);
        std::iter::once(first).chain(entries.map(|entry| CheckpointLine::Entry(Box::new(entry))))
    });
    Pieces { lines, piece_bytes }
}

/// A line of a piece.
enum CheckpointLine {
    Economy(EconomyId, EconomyNumber),
    Entry(Box<CheckpointEntry>),
}

struct Pieces<L> {
    lines: L,
    piece_bytes: usize,
}

impl<L: Iterator<Item = CheckpointLine>> Iterator for Pieces<L> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        while text.is_empty() || text.len() < self.piece_bytes {
            let Some(line) = self.lines.next() else {
                break;
            };
            let written = match line {
                CheckpointLine::Economy(economy, number) => {
                    write!(text, "+{} {economy}", number.0).map_err(|error| error.to_string())
                }
                CheckpointLine::Entry(entry) => plain_account::write(&mut text, &entry)
                    .unwrap_or_else(|| {
                        serde_json::to_writer(&mut text, &entry).map_err(|error| error.to_string())
                    }),
            };
            if let Err(error) = written {
                return Some(Err(StorageError::damaged(0, error)));
            }
            text.push(b'\n');
        }
        if text.is_empty() {
            return None;
        }
        let compressed = zstd::bulk::compress(&text, LEVEL);
        Some(compressed.map_err(|error| StorageError::damaged(0, error)))
    }
}

/// The digest of a checkpoint: its numbers and its pieces, in order.
pub(crate) struct PiecesHash(Sha256Writer);

impl PiecesHash {
    pub(crate) fn new(state: &State) -> Self {
        let mut hash = Sha256Writer::new("bursar-checkpoint-2");
        hash.number(state.record);
        hash.number(state.movement);
        hash.number(state.batch);
        hash.text(state.log_head.as_bytes());
        hash.number(state.recorded_at.0);
        Self(hash)
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.text(piece);
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// A line of a piece that was parsed.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all lines are entries, and a box would cost each of them an allocation"
)]
enum ParsedLine {
    Economy(EconomyId, EconomyNumber),
    Entry(CheckpointEntry),
}

/// Decompresses and parses a piece.
fn parse(piece: &[u8]) -> std::result::Result<Vec<ParsedLine>, String> {
    let text = zstd::bulk::Decompressor::new()
        .and_then(|mut zstd| {
            let bound = zstd::bulk::Decompressor::upper_bound(piece);
            zstd.decompress(piece, bound.unwrap_or_default().min(PIECE_BYTES_READ_MAX))
        })
        .map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&text).map_err(|error| error.to_string())?;
    let mut accounts = plain_account::Parser::default();
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split_at(1) {
            ("+", economy) => parse_economy(economy),
            (plain_account::MARK, account) => accounts.parse(account).map(ParsedLine::Entry),
            _ => serde_json::from_str(line)
                .map(ParsedLine::Entry)
                .map_err(|error| error.to_string()),
        })
        .collect()
}

fn parse_economy(line: &str) -> std::result::Result<ParsedLine, String> {
    let (number, economy) = line.split_once(' ').ok_or("an economy without a name")?;
    let number = number.parse().map_err(|_| "an economy without a number")?;
    let economy = economy.parse().map_err(|error| format!("{error}"))?;
    Ok(ParsedLine::Economy(economy, EconomyNumber(number)))
}

/// The economies of a checkpoint that is being read.
struct Restoring {
    state: State,
    /// The economy whose entries are being read.
    current: Option<(EconomyId, EconomyNumber, Option<Books>)>,
}

impl Restoring {
    fn add_all(&mut self, lines: Vec<ParsedLine>) -> std::result::Result<(), String> {
        for line in lines {
            match line {
                ParsedLine::Economy(economy, number) => {
                    self.end()?;
                    self.current = Some((economy, number, None));
                }
                ParsedLine::Entry(entry) => self.add(entry)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, entry: CheckpointEntry) -> std::result::Result<(), String> {
        let Some((_, _, books)) = &mut self.current else {
            return Err("an entry of no economy".into());
        };
        if Books::restore(books, entry) {
            Ok(())
        } else {
            Err("an entry does not fit".into())
        }
    }

    /// Adds the current economy to the state.
    fn end(&mut self) -> std::result::Result<(), String> {
        let Some((economy, number, books)) = self.current.take() else {
            return Ok(());
        };
        let books = books.filter(Books::is_complete);
        let books = books.ok_or_else(|| format!("the economy `{economy}` is not complete"))?;
        if self.state.restore(&economy, number, books) {
            Ok(())
        } else {
            Err("an economy is there twice".into())
        }
    }
}

/// Loads the state of a file: the newest checkpoint, with all later records checked and applied. Also returns
/// the number of the checkpoint's record.
pub(crate) fn load(database: &Database) -> Result<(State, u64)> {
    let (mut state, at_least) = match newest(database)? {
        Checkpoint::Absent => (State::default(), 0),
        Checkpoint::Sound(state) => {
            let record = state.record;
            (*state, record)
        }
        Checkpoint::Unsound { record, what } => {
            tracing::warn!(
                record,
                what,
                "the newest checkpoint is not valid; starting from the first record"
            );
            (State::default(), record)
        }
    };
    let checkpointed = state.record;
    each_frame(database, checkpointed, |frame| {
        state.replay_frame(&frame)?;
        Ok(true)
    })?;
    if state.record < at_least {
        // A checkpoint is written after its records, so the missing ones existed.
        let what = format!("it is missing, and a checkpoint stands at record {at_least}");
        return Err(StorageError::damaged(state.record.saturating_add(1), what));
    }
    Ok((state, checkpointed))
}

/// Reads the newest closed checkpoint.
pub(crate) fn newest(database: &Database) -> Result<Checkpoint> {
    newest_while(database, || ())
}

/// Reads the newest closed checkpoint under one snapshot. Tests let the writer replace the checkpoint
/// `meanwhile`, between the reads of its row and of its pieces.
pub(crate) fn newest_while(database: &Database, meanwhile: impl FnOnce()) -> Result<Checkpoint> {
    database.reading(|database| {
        let closing = closing_row(database)?;
        meanwhile();
        closing.map_or(Ok(Checkpoint::Absent), |closing| closing.read(database))
    })
}

/// The row that makes a checkpoint count.
struct Closing {
    id: u64,
    at: State,
    pieces: u64,
    digest: Vec<u8>,
}

fn closing_row(database: &Database) -> Result<Option<Closing>> {
    let mut newest = database.prepare(
        "SELECT id, record, movement, batch, head, recorded_at, pieces, digest FROM checkpoints
         WHERE pieces IS NOT NULL ORDER BY id DESC LIMIT 1",
    )?;
    newest.first(Vec::new(), |row| {
        let number = |column| rows::count(row, column, 0);
        Ok(Closing {
            id: number(0)?,
            at: State {
                record: number(1)?,
                movement: number(2)?,
                batch: number(3)?,
                log_head: rows::digest(row, 4, 0)?,
                recorded_at: Timestamp(number(5)?),
                ..State::default()
            },
            pieces: number(6)?,
            digest: row.get::<Option<Vec<u8>>>(7)?.unwrap_or_default(),
        })
    })
}

impl Closing {
    fn read(self, database: &Database) -> Result<Checkpoint> {
        let record = self.at.record;
        let checked = self
            .read_pieces(database)
            .and_then(|state| belongs(database, &state).map(|()| state));
        match checked {
            Ok(state) => Ok(Checkpoint::Sound(Box::new(state))),
            Err(StorageError::Damaged { what, .. }) => Ok(Checkpoint::Unsound { record, what }),
            Err(error) => Err(error),
        }
    }

    fn read_pieces(self, database: &Database) -> Result<State> {
        let mut hash = PiecesHash::new(&self.at);
        let mut pieces = Vec::new();
        let mut read = database.prepare(
            "SELECT bytes FROM checkpoint_pieces WHERE checkpoint = ?1 ORDER BY ordinal",
        )?;
        read.each(vec![integer(self.id)], |row| {
            let piece = rows::bytes(row, 0, 0)?;
            hash.add(&piece);
            pieces.push(piece);
            Ok(true)
        })?;
        let damaged = |what: String| StorageError::damaged(0, what);
        if pieces.len() as u64 != self.pieces {
            let count = pieces.len();
            return Err(damaged(format!("it has {count} of {} pieces", self.pieces)));
        }
        if hash.finish().as_bytes()[..] != self.digest[..] {
            return Err(damaged("its pieces are not those that were written".into()));
        }
        restore(self.at, &pieces)
    }
}

/// Restores a state from its pieces. Parsing takes as long as restoring, so each has a thread.
fn restore(at: State, pieces: &[Vec<u8>]) -> Result<State> {
    let mut restoring = Restoring {
        state: at,
        current: None,
    };
    let damaged = |what: String| StorageError::damaged(0, what);
    std::thread::scope(|scope| {
        let parsed = parse_ahead(scope, pieces.iter().map(|piece| parse(piece)));
        for (lines, number) in parsed.iter().zip(1_u64..) {
            let added = lines.and_then(|lines| restoring.add_all(lines));
            added.map_err(|what| damaged(format!("piece {number}: {what}")))?;
        }
        Ok::<_, StorageError>(())
    })?;
    restoring.end().map_err(damaged)?;
    Ok(restoring.state)
}

/// Runs a parser of pieces on a thread of its own, up to [`PIECES_READY`] pieces ahead of the receiver. The thread ends
/// early if the receiver is dropped.
fn parse_ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    pieces: impl Iterator<Item = T> + Send + 'scope,
) -> Receiver<T> {
    let (send, parsed) = sync_channel(PIECES_READY);
    scope.spawn(move || {
        for piece in pieces {
            if send.send(piece).is_err() {
                return;
            }
        }
    });
    parsed
}

/// Checks that the log has the frame after which the checkpoint was written.
fn belongs(database: &Database, state: &State) -> Result<()> {
    let found = head_at(database, state.record)?;
    if found == Some(state.log_head) || state.record == 0 {
        return Ok(());
    }
    let what = "it is not the state after the record at which it stands";
    Err(StorageError::damaged(state.record, what))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_pieces_are_parsed_ahead() {
        let parsed = AtomicUsize::new(0);
        let pieces = (0..10).inspect(|_| {
            parsed.fetch_add(1, Ordering::SeqCst);
        });
        std::thread::scope(|scope| {
            let ready = parse_ahead(scope, pieces);
            for received in 1..=4 {
                // One more is parsed and waits for its place.
                let most = PIECES_READY + received;
                while parsed.load(Ordering::SeqCst) < most {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(parsed.load(Ordering::SeqCst), most);
                assert_eq!(ready.recv(), Ok(received - 1));
            }
        });
    }
}

//! Checkpoints: the state after some record, stored so that a start need not apply all records.
//!
//! The closing row of a checkpoint has a digest of all its pieces, and its record must be in the journal. If
//! either check fails, the checkpoint is ignored, and the state is rebuilt from the first record. This gives
//! the same state and takes longer.

use bursar_ledger::{CheckpointEntry, Digest, EconomyId, Sha256Writer, Timestamp};

use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::rows;
use crate::state::State;

type Result<T> = std::result::Result<T, StorageError>;

/// The newest closed checkpoint of a file.
#[derive(Debug)]
pub(crate) enum Checkpoint {
    /// The file has no closed checkpoint.
    Absent,
    /// The checkpoint is valid.
    Sound(State),
    /// The checkpoint is damaged, or does not belong to the journal.
    Unsound {
        /// The record of the checkpoint.
        record: u64,
        /// A description of the error.
        what: String,
    },
}

/// The digest of a checkpoint: its record and its pieces, in order.
pub(crate) struct PiecesHash(Sha256Writer);

impl PiecesHash {
    pub(crate) fn new(state: &State) -> Self {
        let mut hash = Sha256Writer::new("bursar-checkpoint-1");
        hash.number(state.record);
        hash.number(state.movement);
        hash.number(state.recorded_at.0);
        Self(hash)
    }

    pub(crate) fn add(&mut self, economy: &str, item: &str) {
        self.0.text(economy);
        self.0.text(item);
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// Loads the state of a file: the newest checkpoint, with all later records checked and applied. Also returns
/// the number of the checkpoint's record.
pub(crate) fn load(database: &Database) -> Result<(State, u64)> {
    let (mut state, at_least) = match newest(database)? {
        Checkpoint::Absent => (State::default(), 0),
        Checkpoint::Sound(state) => {
            let record = state.record;
            (state, record)
        }
        Checkpoint::Unsound { record, what } => {
            tracing::warn!(
                record,
                what,
                "the newest checkpoint does not add up; starting from the first record"
            );
            (State::default(), record)
        }
    };
    let checkpointed = state.record;
    let movement = state.movement;
    rows::each_record(database, checkpointed, movement, |record| {
        state.replay(&record)?;
        Ok(true)
    })?;
    let movements = rows::unsigned(database.number("SELECT coalesce(max(id), 0) FROM movements")?)?;
    if movements > state.movement {
        let what = "after it there are movements of no record";
        return Err(StorageError::damaged(state.record, what));
    }
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
        "SELECT id, record, movement, recorded_at, pieces, digest FROM checkpoints
         WHERE pieces IS NOT NULL ORDER BY id DESC LIMIT 1",
    )?;
    newest.first(Vec::new(), |row| {
        let number = |column| rows::unsigned(row.get(column)?);
        Ok(Closing {
            id: number(0)?,
            at: State {
                record: number(1)?,
                movement: number(2)?,
                recorded_at: Timestamp(number(3)?),
                ..State::default()
            },
            pieces: number(4)?,
            digest: row.get::<Option<Vec<u8>>>(5)?.unwrap_or_default(),
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
            Ok(state) => Ok(Checkpoint::Sound(state)),
            Err(StorageError::Damaged { what, .. }) => Ok(Checkpoint::Unsound { record, what }),
            Err(error) => Err(error),
        }
    }

    fn read_pieces(self, database: &Database) -> Result<State> {
        let mut state = self.at;
        let mut hash = PiecesHash::new(&state);
        let damaged = |what: String| StorageError::damaged(0, what);
        let mut read = database.prepare(
            "SELECT CAST(economy AS BLOB), CAST(item AS BLOB) FROM checkpoint_pieces
             WHERE checkpoint = ?1 ORDER BY ordinal",
        )?;
        let mut count: u64 = 0;
        read.each(vec![integer(self.id)], |row| {
            let name = rows::string(row, 0, 0)?;
            let text = rows::string(row, 1, 0)?;
            hash.add(&name, &text);
            count += 1;
            let economy: EconomyId = name
                .parse()
                .map_err(|error| damaged(format!("piece {count}: {error}")))?;
            let item: CheckpointEntry = serde_json::from_str(&text)
                .map_err(|error| damaged(format!("piece {count}: {error}")))?;
            if state.restore(&economy, item) {
                Ok(true)
            } else {
                Err(damaged(format!("piece {count} fits nowhere")))
            }
        })?;
        if count != self.pieces {
            return Err(damaged(format!("it has {count} of {} pieces", self.pieces)));
        }
        if hash.finish().as_bytes()[..] != self.digest[..] {
            return Err(damaged("its pieces are not those that were written".into()));
        }
        Ok(state)
    }
}

/// The record at which a checkpoint stands must be the newest of its economy there, by number and
/// by hash. The other economies are held against their next records, as those are applied.
fn belongs(database: &Database, state: &State) -> Result<()> {
    let mut find =
        database.prepare("SELECT CAST(economy AS BLOB), seq, hash FROM records WHERE id = ?1")?;
    let found = find.first(vec![integer(state.record)], |row| {
        let economy: EconomyId = rows::name(row, 0, state.record)?;
        let seq = rows::count(row, 1, state.record)?;
        Ok((economy, seq, rows::digest(row, 2, state.record)?))
    })?;
    let fits = match found {
        None => state.record == 0,
        Some((economy, seq, hash)) => {
            let books = state.books(&economy);
            books.is_some_and(|books| books.seq() == seq && books.head() == hash)
        }
    };
    if fits {
        return Ok(());
    }
    let what = "it is not the state after the record at which it stands";
    Err(StorageError::damaged(state.record, what))
}

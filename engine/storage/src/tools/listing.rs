//! The listing of a file's records, oldest first, with the names of their accounts and assets.

use std::io;
use std::path::Path;

use bursar_ledger::{Digest, EconomyId, Movement, Timestamp};

use crate::checkpoint;
use crate::database::Database;
use crate::error::StorageError;
use crate::log::frame::Frame;
use crate::log::reader::{LogReader, each_frame, each_record, head_at};
use crate::record::{ChainLink, Outcome, Record};
use crate::schema;
use crate::state::State;

/// The records to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// The economy; all by default.
    pub economy: Option<EconomyId>,
    /// The record after which the list begins: its number in the economy, or in the file if no economy is given.
    pub after: u64,
    /// The maximum number of records; no limit by default.
    pub limit: Option<u64>,
}

/// A record of the log, with the names of its accounts and assets.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedRecord {
    /// The number in the file, without gaps, from 1.
    pub number: u64,
    /// The economy.
    pub economy: EconomyId,
    /// The number in the economy, without gaps, from 1.
    pub seq: u64,
    /// The opening of the file during which it was written.
    pub epoch: u64,
    /// The version of Bursar that wrote it.
    pub version: String,
    /// The time.
    pub recorded_at: Timestamp,
    /// The kind of the act.
    pub kind: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The name of the API key that sent the request.
    pub actor: String,
    /// The idempotency key.
    pub idempotency_key: Option<String>,
    /// The canonical request, as JSON.
    pub request: String,
    /// The act, as JSON.
    pub act: String,
    /// The effects other than movements, as JSON.
    pub changes: String,
    /// The number in the file of the first movement.
    pub first_movement: u64,
    /// The movements.
    pub movements: Vec<Movement>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The answer.
    pub answer: String,
    /// The hash of the economy's previous record.
    pub previous: Digest,
    /// The hash of the record.
    pub hash: Digest,
}

/// An error of a listing.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The economy does not exist.
    #[error("the file has no economy `{0}`")]
    NoEconomy(EconomyId),
    /// The records could not be passed on.
    #[error("the records could not be written: {0}")]
    Io(#[from] io::Error),
    /// The file could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ListedRecord {
    /// Names the accounts and assets of a record by the books of its economy.
    pub(crate) fn of(
        record: Record,
        link: &ChainLink,
        state: &State,
    ) -> Result<Self, StorageError> {
        let movements = record.named_movements(state.books_of(&record)?)?;
        let answer = String::from_utf8(record.answer.to_vec())
            .map_err(|error| StorageError::damaged(record.id, error))?;
        Ok(Self {
            number: record.id,
            economy: record.economy,
            seq: record.seq,
            epoch: record.epoch,
            version: record.version.into(),
            recorded_at: record.recorded_at,
            kind: record.kind.into(),
            outcome: record.outcome,
            actor: record.actor,
            idempotency_key: record.key,
            request: record.request,
            act: record.act,
            changes: record.changes,
            first_movement: record.first_movement,
            movements,
            status: record.status,
            answer,
            previous: link.previous,
            hash: link.hash,
        })
    }
}

/// Passes the selected records of a file on, oldest first, until `take` fails.
///
/// Checks the hash of every record and frame that it reads. If the file is damaged, the records before the damage are
/// passed on before the error is returned.
pub(crate) fn list(
    path: &Path,
    selection: &Selection,
    take: &mut dyn FnMut(ListedRecord) -> io::Result<()>,
) -> Result<(), ListingError> {
    let database = Database::open_reader(path)?;
    schema::check(&database)?;
    let (state, damage) = load(&database)?;
    if let Some(economy) = &selection.economy
        && state.books(economy).is_none()
    {
        let missing = ListingError::NoEconomy(economy.clone());
        return Err(damage.map_or(missing, Into::into));
    }
    let mut lister = Lister {
        selection,
        state: &state,
        left: selection.limit.unwrap_or(u64::MAX),
        head: Digest::ZERO,
        failed: None,
        take,
    };
    // Numbers of an economy do not tell where its records are in the file.
    let after = match &selection.economy {
        None => selection.after,
        Some(_) => 0,
    };
    if lister.left > 0 && after < state.record {
        let before = lister.seek(&database, after)?;
        each_frame(&database, before, |frame| lister.list_frame(&frame))?;
    }
    if let Some(error) = lister.failed {
        return Err(error.into());
    }
    match damage {
        Some(damage) if lister.left > 0 => Err(damage.into()),
        Some(_) | None => Ok(()),
    }
}

/// Loads the newest state of a file, or the one before its first damage together with the error.
fn load(database: &Database) -> Result<(State, Option<StorageError>), StorageError> {
    let damage = match checkpoint::load(database) {
        Ok((state, _)) => return Ok((state, None)),
        Err(error @ StorageError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    let mut state = State::default();
    let replayed = each_frame(database, 0, |frame| {
        state.replay_frame(&frame)?;
        Ok(true)
    });
    match replayed {
        Ok(()) => Ok((state, Some(damage))),
        Err(earlier @ StorageError::Damaged { .. }) => Ok((state, Some(earlier))),
        Err(error) => Err(error),
    }
}

/// A listing in progress.
struct Lister<'a> {
    selection: &'a Selection,
    state: &'a State,
    /// The number of records that may still be passed on.
    left: u64,
    /// The hash of the last frame that was read.
    head: Digest,
    /// The error of the one who takes the records.
    failed: Option<io::Error>,
    take: &'a mut dyn FnMut(ListedRecord) -> io::Result<()>,
}

impl Lister<'_> {
    /// Finds the frame of the record after `after`, and returns the number of the record before that frame.
    fn seek(&mut self, database: &Database, after: u64) -> Result<u64, StorageError> {
        let next = after.saturating_add(1);
        let frame = LogReader::open(database)?.frame_of(next)?;
        let frame = frame.ok_or_else(|| StorageError::damaged(next, "it is missing"))?;
        let before = frame.header.first_record.saturating_sub(1);
        if before > 0 {
            let head = head_at(database, before)?;
            self.head =
                head.ok_or_else(|| StorageError::damaged(before, "its frame is missing"))?;
        }
        Ok(before)
    }

    /// Passes the selected records of a frame on. Returns false if no later frame is needed.
    fn list_frame(&mut self, frame: &Frame) -> Result<bool, StorageError> {
        let previous = self.head;
        let is_read = each_record(frame, &previous, |record, link| self.list(record, &link))?;
        if !is_read {
            return Ok(false);
        }
        self.head = frame.head;
        Ok(frame.next_record() <= self.state.record)
    }

    /// Passes a record on if it is selected. Returns false if no later record is needed.
    fn list(&mut self, record: Record, link: &ChainLink) -> Result<bool, StorageError> {
        if record.id > self.state.record {
            return Ok(false);
        }
        if !self.is_selected(&record) {
            return Ok(true);
        }
        let listed = ListedRecord::of(record, link, self.state)?;
        if let Err(error) = (self.take)(listed) {
            self.failed = Some(error);
            return Ok(false);
        }
        self.left -= 1;
        Ok(self.left > 0)
    }

    fn is_selected(&self, record: &Record) -> bool {
        let after = self.selection.after;
        match &self.selection.economy {
            None => record.id > after,
            Some(economy) => record.economy == *economy && record.seq > after,
        }
    }
}

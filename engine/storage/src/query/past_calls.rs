//! Calls of the past, each with the books that it was committed upon: what it takes to run them again,
//! by the component that ran or by another one.

use std::path::Path;

use bursar_ledger::{Act, Books, CallResult, Digest, EconomyId, Timestamp};

use crate::database::Database;
use crate::error::StorageError;
use crate::file::lock::FileLock;
use crate::record::Record;
use crate::state::State;
use crate::tools::offline::there;
use crate::{rows, schema};

/// A call in the journal.
#[derive(Clone, Debug)]
pub struct PastCall {
    /// Its number in the economy.
    pub seq: u64,
    /// The version of bursar that wrote it, and so of the engine that ran the plugin.
    pub version: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What was asked of the plugin, what it learned and asked, and how it ended.
    pub call: CallResult,
    /// The books that it was committed upon.
    pub books: Books,
}

/// A file that no process has open, to read its calls in order. The file stays locked for as long as
/// this lives.
pub struct PastCalls {
    database: Database,
    _lock: FileLock,
}

impl PastCalls {
    /// Opens a file that must be there.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let (path, lock) = there(path)?;
        let database = Database::open_reader(&path)?;
        schema::check(&database)?;
        Ok(Self {
            database,
            _lock: lock,
        })
    }

    /// The bytes of a component that was uploaded.
    pub fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let mut find = self
            .database
            .prepare("SELECT bytes FROM components WHERE digest = ?1")?;
        find.first(vec![rows::blob(digest)], |row| Ok(row.get::<Vec<u8>>(0)?))
    }

    /// Goes through the file from its first record and hands over each call of an economy, until
    /// `take` says no. `progress` hears how many records were read, of how many. An economy that is
    /// not there has no calls.
    ///
    /// Each record is checked as at a start; one that does not follow ends it.
    pub fn each(
        &self,
        economy: &EconomyId,
        take: &mut dyn FnMut(PastCall) -> bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StorageError> {
        let last = self
            .database
            .number("SELECT coalesce(max(id), 0) FROM records")?;
        let last = rows::unsigned(last)?;
        let mut state = State::default();
        rows::each_record(&self.database, 0, 0, |record| {
            let is_call = record.economy == *economy && record.kind == "call";
            let before = is_call.then(|| state.books(economy).cloned()).flatten();
            state.replay(&record)?;
            progress(state.records(), last);
            let Some(books) = before else {
                return Ok(true);
            };
            Ok(take(past_call(record, Books::clone(&books))?))
        })
    }
}

fn past_call(record: Record, books: Books) -> Result<PastCall, StorageError> {
    let damaged = |what: String| StorageError::damaged(record.id, what);
    let act =
        serde_json::from_str(&record.act).map_err(|error| damaged(format!("its act: {error}")))?;
    let Act::Call(call) = act else {
        return Err(damaged("its kind is not its act's".into()));
    };
    Ok(PastCall {
        seq: record.seq,
        version: record.version,
        recorded_at: record.recorded_at,
        call: *call,
        books,
    })
}

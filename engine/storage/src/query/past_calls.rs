//! Recorded calls, each with the books before it, which suffices to run them again with the same component or with
//! another one.

use std::path::Path;

use bursar_ledger::{Act, Books, CallResult, Digest, EconomyId, Timestamp};

use crate::database::Database;
use crate::error::StorageError;
use crate::file::lock::FileLock;
use crate::log::reader::{each_frame, each_record, last_record};
use crate::record::Record;
use crate::state::State;
use crate::tools::offline::there;
use crate::{rows, schema};

/// A recorded call.
#[derive(Clone, Debug)]
pub struct PastCall {
    /// The record's number in its economy.
    pub seq: u64,
    /// The version of Bursar that wrote the record and ran the plugin.
    pub version: String,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The call with its transcript and its end.
    pub call: CallResult,
    /// The books before the record.
    pub books: Books,
}

/// A reader of the calls of a file that no other process has open. The file stays locked while this value lives.
pub struct PastCalls {
    database: Database,
    _lock: FileLock,
}

impl PastCalls {
    /// Opens an existing file.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let (path, lock) = there(path)?;
        let database = Database::open_reader(&path)?;
        schema::check(&database)?;
        Ok(Self {
            database,
            _lock: lock,
        })
    }

    /// Returns the bytes of an uploaded component.
    pub fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let mut find = self
            .database
            .prepare("SELECT bytes FROM components WHERE digest = ?1")?;
        find.first(vec![rows::blob(digest)], |row| Ok(row.get::<Vec<u8>>(0)?))
    }

    /// Reads the file from its first record and passes each call of an economy to `take`, until it returns
    /// false. `progress` receives the number of records that were read and the total. An economy that does not
    /// exist has no calls.
    ///
    /// Checks each record as a start does, and fails at the first inconsistent one.
    pub fn each(
        &self,
        economy: &EconomyId,
        take: &mut dyn FnMut(PastCall) -> bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StorageError> {
        let last = last_record(&self.database)?;
        let mut state = State::default();
        each_frame(&self.database, 0, |frame| {
            let previous = state.log_head;
            let is_read = each_record(&frame, &previous, |record, link| {
                let is_call = record.economy == *economy && record.kind == "call";
                let before = is_call.then(|| state.books(economy).cloned()).flatten();
                state.replay(&record, &link)?;
                progress(state.records(), last);
                match before {
                    Some(books) => Ok(take(past_call(record, Books::clone(&books))?)),
                    None => Ok(true),
                }
            })?;
            if is_read {
                state.close_frame(&frame)?;
            }
            Ok(is_read)
        })
    }
}

fn past_call(record: Record, books: Books) -> Result<PastCall, StorageError> {
    let Act::Call(call) = record.act()? else {
        return Err(StorageError::damaged(
            record.id,
            "its kind is not its act's",
        ));
    };
    Ok(PastCall {
        seq: record.seq,
        version: record.version.into(),
        recorded_at: record.recorded_at,
        call: *call,
        books,
    })
}

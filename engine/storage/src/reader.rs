//! Reads of what is too old or too large for the state: answers by key, component bytes, histories.
//!
//! These connections cannot write, so none of them can checkpoint the write-ahead log under the
//! writer. Each read is one short statement; none keeps its snapshot of the file open.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Digest, EconomyId};
use bytes::Bytes;

use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::events::{Event, Events};
use crate::history::{History, HistoryPage, HistoryQuery};
use crate::journal::Stored;
use crate::keys::KeyIndex;
use crate::rows;

/// Connections that read, and nothing else. Calls block for the time of one small read.
pub(crate) struct Readers {
    each: Vec<Mutex<Reader>>,
}

struct Reader {
    keys: KeyIndex,
    find_record: Statement,
    find_component: Statement,
    history: History,
    events: Events,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, StorageError> {
        let each = (0..count).map(|_| Reader::open(path).map(Mutex::new));
        Ok(Self {
            each: each.collect::<Result<_, _>>()?,
        })
    }

    /// The answer that a key led to.
    pub(crate) fn stored(
        &self,
        economy: &EconomyId,
        key: &str,
    ) -> Result<Option<Stored>, StorageError> {
        let mut reader = self.any();
        match reader.keys.find(economy, key)? {
            Some(record) => rows::stored(&mut reader.find_record, record).map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of a component.
    pub(crate) fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StorageError> {
        let values = vec![rows::blob(digest)];
        self.any()
            .find_component
            .first(values, |row| Ok(row.get::<Vec<u8>>(0)?.into()))
    }

    /// Events of an economy after a number.
    pub(crate) fn events(
        &self,
        economy: &EconomyId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        self.any().events.after(economy, after, limit)
    }

    /// A page of an account's history; none if it is to begin at what is no movement of the
    /// account.
    pub(crate) fn history(
        &self,
        query: &HistoryQuery,
    ) -> Result<Option<HistoryPage>, StorageError> {
        self.any().history.page(query)
    }

    /// A free reader, or the wait for the first one.
    fn any(&self) -> MutexGuard<'_, Reader> {
        let free = self.each.iter().find_map(|reader| reader.try_lock().ok());
        let first = || self.each.first().expect("there is at least one reader");
        // A reader resets its statements before each use, so a panic leaves nothing behind.
        free.unwrap_or_else(|| first().lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reader {
    fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open_reader(path)?;
        Ok(Self {
            keys: KeyIndex::open(&database)?,
            find_record: database
                .prepare("SELECT request, status, answer FROM records WHERE id = ?1")?,
            find_component: database.prepare("SELECT bytes FROM components WHERE digest = ?1")?,
            history: History::open(&database)?,
            events: Events::open(&database)?,
        })
    }
}

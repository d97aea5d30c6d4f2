//! Reads of data that is too old or too large for the state: answers by key, component bytes, histories.
//!
//! These connections are read-only, so none of them can checkpoint the write-ahead log while the writer uses
//! it. A read is a few short statements, or at most 2,000 for a page of a history, and holds no snapshot of the
//! file between them.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bursar_ledger::{CallId, Digest, EconomyId, HoldId, Movement, PluginName, SubjectId};
use bytes::Bytes;

use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::index::Index;
use crate::log::reader::LogReader;
use crate::query::events::{self, Event, EventRange};
use crate::query::history::{self, HistoryPage, HistoryQuery};
use crate::query::past_balances::{self, PastBalances, PastQuery};
use crate::query::receipts::{self, CallRecord};
use crate::query::revisions::{self, RevisionRecord};
use crate::query::source::QuerySource;
use crate::query::subjects::{self, HoldHistory, SubjectRecord};
use crate::record::StoredAnswer;
use crate::rows;
use crate::state::State;

/// A pool of read-only connections. Each call blocks for one small read.
pub(crate) struct Readers {
    /// `None` once they are closed.
    each: Vec<Mutex<Option<Reader>>>,
    index: Arc<Index>,
    turn: AtomicUsize,
    event_reads: AtomicU64,
}

struct Reader {
    log: LogReader,
    find_component: Statement,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize, index: Arc<Index>) -> Result<Self, StorageError> {
        let each = (0..count).map(|_| Reader::open(path).map(Some).map(Mutex::new));
        Ok(Self {
            each: each.collect::<Result<_, _>>()?,
            index,
            turn: AtomicUsize::new(0),
            event_reads: AtomicU64::new(0),
        })
    }

    /// Returns the index of the file.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Waits for reads in progress and closes all connections. Later reads fail with [`StorageError::Closed`].
    pub(crate) fn close(&self) {
        for reader in &self.each {
            *reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Returns the answer of an idempotency key.
    pub(crate) fn stored(
        &self,
        state: &State,
        economy: &EconomyId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        let Some(number) = state.number(economy) else {
            return Ok(None);
        };
        let mut lent = self.any()?;
        for record in self.index.records_of_key(number.0, key)? {
            let record = lent.log.record(record)?;
            // Two keys may have one fingerprint.
            if record.number == number && record.key.as_deref() == Some(key) {
                return Ok(Some(record.stored_answer()));
            }
        }
        Ok(None)
    }

    /// Returns the bytes of a component.
    pub(crate) fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StorageError> {
        let values = vec![rows::blob(digest)];
        self.any()?
            .find_component
            .first(values, |row| Ok(row.get::<Vec<u8>>(0)?.into()))
    }

    /// Returns the record of a transfer.
    pub(crate) fn transfer(
        &self,
        state: &State,
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Option<SubjectRecord>, StorageError> {
        self.read(state, |source| subjects::transfer(source, economy, id))
    }

    /// Returns the movements of a transfer.
    pub(crate) fn moved(
        &self,
        state: &State,
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Vec<Movement>, StorageError> {
        self.read(state, |source| subjects::moved(source, economy, id))
    }

    /// Returns the history of a hold.
    pub(crate) fn hold(
        &self,
        state: &State,
        economy: &EconomyId,
        hold: HoldId,
    ) -> Result<Option<HoldHistory>, StorageError> {
        self.read(state, |source| {
            subjects::hold_before(source, economy, hold, u64::MAX)
        })
    }

    /// Returns the record of a call.
    pub(crate) fn call(
        &self,
        state: &State,
        economy: &EconomyId,
        call: CallId,
    ) -> Result<Option<CallRecord>, StorageError> {
        self.read(state, |source| receipts::call(source, economy, call))
    }

    /// Returns a record that changed the installation of a plugin.
    pub(crate) fn revision(
        &self,
        state: &State,
        economy: &EconomyId,
        plugin: &PluginName,
        seq: u64,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        self.read(state, |source| {
            revisions::read(source, economy, plugin, seq)
        })
    }

    /// Returns the balances of an account at a moment in the past.
    pub(crate) fn balances_at(
        &self,
        state: &State,
        query: &PastQuery,
    ) -> Result<PastBalances, StorageError> {
        self.read(state, |source| past_balances::balances(source, query))
    }

    /// Returns events of an economy in order.
    pub(crate) fn events(
        &self,
        state: &State,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        self.event_reads.fetch_add(1, Ordering::Relaxed);
        self.read(state, |source| {
            events::between(source, economy, range, limit)
        })
    }

    /// Returns the number of event reads so far.
    pub(crate) fn event_reads(&self) -> u64 {
        self.event_reads.load(Ordering::Relaxed)
    }

    /// Returns the hash of a record, or `None` if the economy has no such record.
    pub(crate) fn record_hash(
        &self,
        state: &State,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        self.read(state, |source| events::hash(source, economy, seq))
    }

    /// Returns a page of an account's history, or `None` if the query starts at a movement of another account.
    pub(crate) fn history(
        &self,
        state: &State,
        query: &HistoryQuery,
    ) -> Result<Option<HistoryPage>, StorageError> {
        self.read(state, |source| history::page(source, query))
    }

    /// Runs a query on a free connection.
    fn read<T>(
        &self,
        state: &State,
        query: impl FnOnce(&mut QuerySource<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut lent = self.any()?;
        query(&mut QuerySource {
            log: &mut lent.log,
            index: &self.index,
            state,
        })
    }

    /// Returns a free reader, and waits for one if necessary.
    fn any(&self) -> Result<Lent<'_>, StorageError> {
        // A reader resets its statements before each use, so a panic leaves nothing behind.
        let free = self.each.iter().find_map(|reader| match reader.try_lock() {
            Ok(free) => Some(free),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let lent = free.unwrap_or_else(|| {
            // Waiting callers are spread over all readers.
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.each.len();
            let reader = self.each.get(turn).expect("a turn is a reader's");
            reader.lock().unwrap_or_else(PoisonError::into_inner)
        });
        if lent.is_none() {
            return Err(StorageError::Closed);
        }
        Ok(Lent(lent))
    }
}

/// A reader that returns to the pool when it is dropped.
struct Lent<'a>(MutexGuard<'a, Option<Reader>>);

impl Deref for Lent<'_> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.0.as_ref().expect("one that is closed is not lent")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Reader {
        self.0.as_mut().expect("one that is closed is not lent")
    }
}

impl Reader {
    fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open_reader(path)?;
        Ok(Self {
            log: LogReader::open(&database)?,
            find_component: database.prepare("SELECT bytes FROM components WHERE digest = ?1")?,
        })
    }
}

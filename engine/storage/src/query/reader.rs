//! Reads of data that is too old or too large for the state: answers by key, component bytes, histories.
//!
//! These connections are read-only, so none of them can checkpoint the write-ahead log while the writer uses
//! it. A read is a few short statements, or at most 2,000 for a page of a history, and holds no snapshot of the
//! file between them.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use bursar_ledger::{CallId, Digest, EconomyId, HoldId, Movement, PluginName, SubjectId};
use bytes::Bytes;

use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::index::account_history::{Past, PastBalances, PastQuery};
use crate::index::idempotency_keys::KeyIndex;
use crate::index::subjects::{About, HoldHistory, SubjectRecord};
use crate::query::events::{Event, EventRange, Events};
use crate::query::history::{History, HistoryPage, HistoryQuery};
use crate::query::receipts::{CallRecord, Receipts};
use crate::query::revisions::{RevisionRecord, Revisions};
use crate::record::StoredAnswer;
use crate::rows;

/// A pool of read-only connections. Each call blocks for one small read.
pub(crate) struct Readers {
    /// `None` once they are closed.
    each: Vec<Mutex<Option<Reader>>>,
    turn: AtomicUsize,
    event_reads: AtomicU64,
}

struct Reader {
    keys: KeyIndex,
    find_record: Statement,
    find_component: Statement,
    history: History,
    events: Events,
    about: About,
    past: Past,
    receipts: Receipts,
    revisions: Revisions,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, StorageError> {
        let each = (0..count).map(|_| Reader::open(path).map(Some).map(Mutex::new));
        Ok(Self {
            each: each.collect::<Result<_, _>>()?,
            turn: AtomicUsize::new(0),
            event_reads: AtomicU64::new(0),
        })
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
        economy: &EconomyId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        let mut lent = self.any()?;
        let reader = &mut *lent;
        match reader.keys.find(economy, key)? {
            Some(record) => rows::stored(&mut reader.find_record, record).map(Some),
            None => Ok(None),
        }
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
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Option<SubjectRecord>, StorageError> {
        self.any()?.about.transfer(economy, id)
    }

    /// Returns the movements of a transfer.
    pub(crate) fn moved(
        &self,
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Vec<Movement>, StorageError> {
        self.any()?.about.moved(economy, id)
    }

    /// Returns the history of a hold.
    pub(crate) fn hold(
        &self,
        economy: &EconomyId,
        hold: HoldId,
    ) -> Result<Option<HoldHistory>, StorageError> {
        self.any()?.about.hold(economy, hold)
    }

    /// Returns the record of a call.
    pub(crate) fn call(
        &self,
        economy: &EconomyId,
        call: CallId,
    ) -> Result<Option<CallRecord>, StorageError> {
        let mut lent = self.any()?;
        let reader = &mut *lent;
        let about = &mut reader.about;
        let revisions = &mut reader.revisions;
        reader.receipts.call(about, revisions, economy, call)
    }

    /// Returns a record that changed the installation of a plugin.
    pub(crate) fn revision(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        seq: u64,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        self.any()?.revisions.read(economy, plugin, seq)
    }

    /// Returns the balances of an account at a moment in the past.
    pub(crate) fn balances_at(&self, query: &PastQuery) -> Result<PastBalances, StorageError> {
        self.any()?.past.balances(query)
    }

    /// Returns events of an economy in order.
    pub(crate) fn events(
        &self,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        self.event_reads.fetch_add(1, Ordering::Relaxed);
        self.any()?.events.between(economy, range, limit)
    }

    /// Returns the number of event reads so far.
    pub(crate) fn event_reads(&self) -> u64 {
        self.event_reads.load(Ordering::Relaxed)
    }

    /// Returns the hash of a record, or `None` if the economy has no such record.
    pub(crate) fn record_hash(
        &self,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        self.any()?.events.hash(economy, seq)
    }

    /// Returns a page of an account's history, or `None` if the query starts at a movement of another account.
    pub(crate) fn history(
        &self,
        query: &HistoryQuery,
    ) -> Result<Option<HistoryPage>, StorageError> {
        self.any()?.history.page(query)
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
            keys: KeyIndex::open(&database)?,
            find_record: database.prepare(rows::FIND_STORED)?,
            find_component: database.prepare("SELECT bytes FROM components WHERE digest = ?1")?,
            history: History::open(&database)?,
            events: Events::open(&database)?,
            about: About::open(&database)?,
            past: Past::open(path)?,
            receipts: Receipts::open(&database)?,
            revisions: Revisions::open(&database)?,
        })
    }
}

//! Durable storage of economies: a log in one libSQL file, its single writer, and the published state.
//!
//! [`Storage::open`] opens a file and starts its writer. [`Storage::submit`] queues a [`Submission`] and
//! returns a receiver for its [`Reply`]; the reads are methods of [`Storage`] too. [`Submission`] has an example.
//!
//! * The **state** ([`State`]) is in memory. Only the writer changes it. After each commit the writer
//!   publishes an immutable snapshot that shares all unchanged parts with its predecessor. Readers load the
//!   newest snapshot without a lock and without SQL.
//! * The **log** is authoritative. Each change of state is a record of the request, the act and the
//!   effects. A start loads the newest checkpoint and applies the effects of later records. It checks them
//!   but never decides anything again.
//! * **Durable** means synced: an answer is sent after its commit, in WAL mode with `synchronous = FULL`.
//!   After `kill -9`, every acknowledged change is there, and no change is there in part. After a power loss
//!   the same holds if the disk keeps what it has reported as written.
//! * **One process** owns a file, through a lock file next to it, and one connection writes to it.
//!
//! This crate knows nothing of HTTP or of plugins. A function that the caller passes in ([`Render`]) renders
//! answers, because an answer is stored in the transaction of its effects.

mod background;
mod cancel;
mod checkpoint;
mod commit;
mod database;
mod error;
mod file;
mod index;
mod log;
mod news;
mod query;
mod record;
mod request;
mod roundtrip;
mod rows;
mod schema;
mod state;
mod time;
mod tools;
mod wal;
mod webhooks;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bursar_ledger::{
    CallId, Digest, EconomyId, HoldId, Movement, PluginName, Timestamp, TransferId,
};
use bytes::Bytes;
use tokio::sync::watch;

pub use cancel::Cancel;
pub use commit::maintenance::MaintenanceConfig;
pub use commit::queue::{
    QUEUE_BYTES_MAX, QUEUE_BYTES_PER_ECONOMY_MAX, QUEUE_MAX, QUEUE_PER_ECONOMY_MAX, QUEUE_WORK_MAX,
    QUEUE_WORK_PER_ECONOMY_MAX,
};
pub use commit::shared::WriterState;
pub use commit::submission::{
    ActOutcome, Answer, Receiver, Render, RenderedAnswer, Reply, SingleReplySender, Submission,
    SubmittedBatch,
};
pub use commit::writer::WORK_MAX;
pub use error::{ForeignFile, StorageError, SubmitError};
pub use file::lock::{FileLock, beside, canonical};
pub use file::owner::Owner;
pub use news::EconomyNews;
pub use query::events::{EVENTS_MAX, Event, EventRange};
pub use query::history::{
    ENTRIES_MAX, HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery, RecordContext, STEPS_MAX,
};
pub use query::past_balances::{PastBalances, PastQuery};
pub use query::past_calls::{PastCall, PastCalls};
pub use query::receipts::CallRecord;
pub use query::revisions::RevisionRecord;
pub use query::subjects::{HoldHistory, SubjectRecord};
pub use record::{Outcome, StoredAnswer};
pub use request::{IdempotencyKey, KEY_CHARS_MAX, KeyError, Request, RequestFrame};
pub use state::State;
pub use time::clock::{
    CLOCK_FOLLOWED_MAX, CLOCK_SLEW_PPM, Clock, ClockError, ClockView, Mark, OUTAGE_MAX, Reading,
    TimeSource,
};
pub use time::timekeeping::{ClockReport, ClockSetting};
pub use tools::archive::{ArchiveError, ImportContext, ImportReport, LINE_BYTES_MAX};
pub use tools::audit::{
    AUDIT_WAL_BYTES_MAX, AuditReport, EconomyHead, FoundHead, HEADS_MAX, HeadError, LimitBreach,
    Promise, SeenHead,
};
pub use tools::backup::{BACKUP_WAL_BYTES_MAX, BackupError, BackupPlan, BackupReport};
pub use tools::listing::{ListedRecord, ListingError, Selection};
pub use tools::offline::{
    OfflineFile, audit_file, back_up_file, clock_of_file, export_file, import_file, list_file,
    load_file, set_clock_of_file, write_tables_of_file,
};
pub use tools::partial::NewFileError;
pub use tools::restore::{LostRecords, RestoreReport, restore_file};
pub use tools::tables::TablesReport;
pub use webhooks::delivery::{DEAD_LETTERS_MAX, DeadLetter, Delivery, DeliveryError, WebhookPlace};

use commit::shared::Shared;
use commit::submission::{submit, submit_to};
use commit::writer::Writer;
use file::lock::Tail;
use log::file::FileLog;
use log::store::Log;
use query::reader::Readers;

/// The number of connections that read at the same time.
const READERS: usize = 4;

/// An open database file and its writer. Clones share them.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    /// Cancels backups, each of which is one long read.
    closing: Cancel,
    clock: Clock,
    render: Render,
    writer: Mutex<Option<JoinHandle<bool>>>,
    audits_cancelled: AtomicU64,
    /// `None` once the file is closed.
    lock: Mutex<Option<FileLock>>,
}

impl Storage {
    /// Opens or creates a file under a lock that the caller holds, and starts the writer.
    ///
    /// Rebuilds the state from the newest checkpoint and the records after it, and checks each record as it
    /// applies it. Fails if the file is inconsistent or if its clock is far from the clock of the machine.
    pub fn open(
        path: &Path,
        lock: FileLock,
        time: &TimeSource,
        render: Render,
    ) -> Result<Self, StorageError> {
        Self::open_with(path, lock, time, render, MaintenanceConfig::standard())
    }

    /// Opens a file like [`Storage::open`], with another configuration of maintenance.
    pub fn open_with(
        path: &Path,
        lock: FileLock,
        time: &TimeSource,
        render: Render,
        pace: MaintenanceConfig,
    ) -> Result<Self, StorageError> {
        let path = canonical(path);
        if lock.check_log()? == Tail::MayBeMissing {
            let file = path.display();
            tracing::warn!(
                "{file} was not closed properly and has no write-ahead log next to it: its newest records \
                 are missing if it was copied without its log or if the log was removed"
            );
        }
        let mut log = FileLog::prepare(&path, pace.index)?;
        let state = log.load()?;
        let (state, clock) = time::timekeeping::begin(&mut log, state, time, render)?;
        let readers = Arc::new(Readers::open(&path, READERS, log.index())?);
        log.close_after(Arc::clone(&readers));
        let shared = Arc::new(Shared::new(state.clone(), log.load_notes()?));
        let reopen = {
            let path = log.path().to_owned();
            let clock = clock.clone();
            let identity = log.identity().clone();
            let readers = Arc::clone(&readers);
            let index = log.index();
            Box::new(move || {
                let mut log = FileLog::reopen(&identity, &path, &index, clock.now())?;
                log.close_after(Arc::clone(&readers));
                Ok(log)
            })
        };
        let shared_with = Arc::clone(&shared);
        let kept = clock.clone();
        let writer = Writer::new(shared_with, log, reopen, state, kept, render, pace)?;
        let thread = std::thread::Builder::new().name("writer".into());
        let writer = thread
            .spawn(move || writer.run())
            .map_err(|source| StorageError::File {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                shared,
                readers,
                closing: Cancel::new(),
                clock,
                render,
                writer: Mutex::new(Some(writer)),
                audits_cancelled: AtomicU64::new(0),
                lock: Mutex::new(Some(lock)),
            }),
        })
    }

    /// Returns the clock of the file.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Records in the lock file how this process can be reached.
    pub fn announce(&self, owner: &Owner) -> Result<(), StorageError> {
        let mut lock = open(&self.inner.lock);
        lock.as_mut().map_or(Ok(()), |lock| lock.announce(owner))
    }

    /// Queues a submission for the writer. The reply arrives after the commit. Dropping the receiver does
    /// not withdraw the submission.
    pub fn submit(&self, submission: Submission) -> Result<Receiver, SubmitError> {
        submit(&self.inner.shared.queue, submission)
    }

    /// Queues a submission for the writer, which sends the reply to `sender` after the commit. Drops `sender` if the
    /// queue refuses the submission.
    pub fn submit_to(
        &self,
        submission: Submission,
        sender: SingleReplySender,
    ) -> Result<(), SubmitError> {
        submit_to(&self.inner.shared.queue, submission, sender)
    }

    /// Queues submissions in their order. After the first one that the queue refuses, none is queued.
    pub fn submit_all(&self, submissions: Vec<Submission>) -> SubmittedBatch {
        SubmittedBatch::submit(&self.inner.shared.queue, submissions)
    }

    /// Returns up to `limit` events of an economy in order, at most [`EVENTS_MAX`]. Blocks for one read.
    pub fn events(
        &self,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        self.inner
            .readers
            .events(&self.state(), economy, range, limit)
    }

    /// Returns the number of event reads since the file was opened. Following an economy without new records
    /// causes none.
    pub fn event_reads(&self) -> u64 {
        self.inner.readers.event_reads()
    }

    /// Returns the hash of a record, or `None` if the economy has no such record. Blocks for one small read.
    pub fn record_hash(
        &self,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        self.inner.readers.record_hash(&self.state(), economy, seq)
    }

    /// Subscribes to new published records of one economy.
    pub fn follow(&self, economy: &EconomyId) -> EconomyNews {
        let shared = &self.inner.shared;
        let published = || shared.published.load_full();
        shared.news.follow(economy, published)
    }

    /// Returns the noted progress of a webhook.
    pub fn delivery(&self, place: &WebhookPlace) -> Option<Arc<Delivery>> {
        self.inner.shared.notes.get(place)
    }

    /// Returns every webhook with a progress note, in all economies.
    pub fn noted_webhooks(&self) -> Vec<WebhookPlace> {
        self.inner.shared.notes.places()
    }

    /// Notes the progress of a webhook, or removes its note. The note reaches the file with a later commit.
    /// If a crash loses it, events are delivered again.
    pub fn note_delivery(&self, place: &WebhookPlace, delivery: Option<Delivery>) {
        self.inner.shared.notes.set(place, delivery);
    }

    /// Returns true if the last note of a webhook is in the file.
    pub fn is_delivery_written(&self, place: &WebhookPlace) -> bool {
        self.inner.shared.notes.is_written(place)
    }

    /// Waits until the last note of a webhook is in the file.
    pub async fn until_delivery_written(&self, place: &WebhookPlace) {
        self.inner.shared.notes.until_written(place).await;
    }

    /// Returns, as of `now`, the time before which no further record will be published.
    pub fn settled(&self, now: Timestamp) -> Timestamp {
        self.inner.shared.settled(now)
    }

    /// Returns the newest published state.
    pub fn state(&self) -> Arc<State> {
        self.inner.shared.published.load_full()
    }

    /// Returns true if the queue accepts submissions.
    pub fn is_ready(&self) -> bool {
        self.inner.shared.queue.is_open()
    }

    /// Returns the committed answer of an idempotency key. Blocks for one small read.
    pub fn stored(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        self.inner
            .readers
            .stored(&self.state(), economy, key.as_str())
    }

    /// Returns a page of an account's history, newest first, or `None` if the query starts at a movement of
    /// another account. Blocks for at most [`STEPS_MAX`] small reads.
    pub fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, StorageError> {
        self.inner.readers.history(&self.state(), query)
    }

    /// Returns the record of a transfer and its movements, or `None` if the economy has no such transfer. The
    /// movements of a call, or of the end of a hold, are a transfer with the same id. Blocks for a few small
    /// reads.
    pub fn transfer(
        &self,
        economy: &EconomyId,
        transfer: TransferId,
    ) -> Result<Option<SubjectRecord>, StorageError> {
        self.inner
            .readers
            .transfer(&self.state(), economy, transfer.into())
    }

    /// Returns the movements of a transfer, which are empty if the economy has no such transfer. Blocks for a
    /// few small reads.
    pub fn moved(
        &self,
        economy: &EconomyId,
        transfer: TransferId,
    ) -> Result<Vec<Movement>, StorageError> {
        self.inner
            .readers
            .moved(&self.state(), economy, transfer.into())
    }

    /// Returns the history of a hold, or `None` if the economy has no such hold. Blocks for a few small reads.
    pub fn hold(
        &self,
        economy: &EconomyId,
        hold: HoldId,
    ) -> Result<Option<HoldHistory>, StorageError> {
        self.inner.readers.hold(&self.state(), economy, hold)
    }

    /// Returns the record of a call, or `None` if the economy has no such call. Blocks for a few small reads.
    pub fn call(
        &self,
        economy: &EconomyId,
        call: CallId,
    ) -> Result<Option<CallRecord>, StorageError> {
        self.inner.readers.call(&self.state(), economy, call)
    }

    /// Returns a record that changed the installation of a plugin, or `None` if the economy has no such
    /// record. Blocks for one small read.
    pub fn revision(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        seq: u64,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        self.inner
            .readers
            .revision(&self.state(), economy, plugin, seq)
    }

    /// Returns the balances of an account at a moment in the past. Blocks for a few small reads, and for a walk
    /// over the movements that the account history index does not contain yet.
    pub fn balances_at(&self, query: &PastQuery) -> Result<PastBalances, StorageError> {
        self.inner.readers.balances_at(&self.state(), query)
    }

    /// Returns the bytes of a component. Blocks for one read.
    pub fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StorageError> {
        self.inner.readers.component(digest)
    }

    /// Returns a subscription to the state of the writer, which changes once, when the writer ends.
    pub fn writer(&self) -> watch::Receiver<WriterState> {
        self.inner.shared.writer.subscribe()
    }

    /// Begins the shutdown: rejects new submissions and cancels backups. The writer commits the queued
    /// submissions, writes a checkpoint and ends.
    pub fn begin_close(&self) {
        self.inner.closing.cancel();
        self.inner.shared.queue.close();
    }

    /// Makes a closing writer skip the work that only speeds up the next start.
    pub fn hurry(&self) {
        self.inner.shared.hurry();
    }

    /// Shuts down: commits the queued submissions, writes a checkpoint, ends the writer and releases the
    /// file. Blocks until that is done. Returns false if the writer had already given the file up.
    pub fn close(&self) -> bool {
        self.begin_close();
        let writer = open(&self.inner.writer).take();
        let closed = writer.is_none_or(|writer| writer.join().unwrap_or(false));
        open(&self.inner.lock).take();
        closed
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder leaves the value half changed, so a poisoned lock is safe to use.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

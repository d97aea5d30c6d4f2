//! The room that remembers: a journal in one libSQL file, its one writer, and the published state.
//!
//! * The **state** ([`State`]) is in memory. The writer alone changes it, and after each commit
//!   publishes it as an immutable snapshot that shares what did not change. Readers take the newest
//!   snapshot without a lock and without SQL.
//! * The **journal** is the truth: every change of state is a record with what was asked, what was
//!   decided upon and what changed. Starting is the newest checkpoint plus the records after it,
//!   applied and checked, never decided again.
//! * **Durable** means fsynced: an answer is sent after its commit, in WAL mode with
//!   `synchronous = FULL`. After `kill -9` nothing acknowledged is missing and nothing is half
//!   there. After a power loss the same holds as far as the disk keeps what it says it has written.
//! * **One process** owns a file, by a lock beside it; one connection in it writes.
//!
//! This crate knows nothing of HTTP or of plugins; what an answer says is rendered by a function
//! that is handed in, since the answer is kept in the txn of its effects.

mod cancel;
mod checkpoint;
mod commit;
mod database;
mod error;
mod file;
mod index;
mod journal;
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
mod webhooks;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bursar_ledger::{
    CallId, Digest, EconomyId, HoldId, Movement, PluginName, Timestamp, TransferId,
};
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use cancel::Cancel;
pub use commit::queue::{
    QUEUE_BYTES_MAX, QUEUE_BYTES_PER_ECONOMY_MAX, QUEUE_MAX, QUEUE_PER_ECONOMY_MAX, QUEUE_WORK_MAX,
    QUEUE_WORK_PER_ECONOMY_MAX,
};
pub use commit::submission::{
    ActOutcome, Answer, Receiver, Render, RenderedAnswer, Reply, Submission,
};
pub use commit::writer::{WORK_MAX, WriterState};
pub use error::{ForeignFile, StorageError, SubmitError};
pub use file::lock::{FileLock, beside, canonical};
pub use file::owner::Owner;
pub use index::account_history::{PastBalances, PastQuery};
pub use index::subjects::{HoldHistory, SubjectRecord};
pub use news::EconomyNews;
pub use query::events::{EVENTS_MAX, Event, EventRange};
pub use query::history::{
    ENTRIES_MAX, HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery, RecordContext, STEPS_MAX,
};
pub use query::past_calls::{PastCall, PastCalls};
pub use query::receipts::CallRecord;
pub use query::revisions::RevisionRecord;
pub use record::{Outcome, StoredAnswer};
pub use request::{IdempotencyKey, KEY_CHARS_MAX, KeyError, Request};
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
pub use tools::offline::{
    OfflineFile, audit_file, back_up_file, clock_of_file, export_file, import_file, load_file,
    set_clock_of_file,
};
pub use tools::restore::{LostRecords, RestoreReport, restore_file};
pub use webhooks::delivery::{DEAD_LETTERS_MAX, DeadLetter, Delivery, DeliveryError, WebhookPlace};

use commit::maintenance::MaintenanceConfig;
use commit::submission::QueuedSubmission;
use commit::writer::{Shared, Writer};
use file::lock::Tail;
use journal::{FileJournal, Journal};
use query::reader::Readers;
use tools::audit::{AuditInput, Watch};

/// Connections that read at the same time.
const READERS: usize = 4;

/// An open file. Clones share it.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    /// Ends the copying of the file, which is one long read.
    closing: Cancel,
    clock: Clock,
    render: Render,
    writer: Mutex<Option<JoinHandle<bool>>>,
    audits_cancelled: AtomicU64,
    /// None once the file is closed.
    lock: Mutex<Option<FileLock>>,
}

impl Storage {
    /// Opens a file, or makes it, under a lock that was taken before; starts the writer.
    ///
    /// The state is rebuilt from the newest checkpoint and the records after it, each checked as
    /// it is applied; a file that does not add up is not opened, and neither is one whose time is far
    /// from that of the machine.
    pub fn open(
        path: &Path,
        lock: FileLock,
        time: &TimeSource,
        render: Render,
    ) -> Result<Self, StorageError> {
        let path = canonical(path);
        if lock.check_log()? == Tail::MayBeMissing {
            let file = path.display();
            tracing::warn!(
                "{file} was not closed in order and has no write-ahead log beside it: if it was copied \
                 without, or the log was removed, its newest records are missing"
            );
        }
        let mut journal = FileJournal::prepare(&path)?;
        let state = journal.load()?;
        let (state, clock) = time::timekeeping::begin(&mut journal, state, time, render)?;
        let readers = Arc::new(Readers::open(&path, READERS)?);
        journal.close_after(Arc::clone(&readers));
        let shared = Arc::new(Shared::new(state.clone(), journal.load_notes()?));
        let reopen = {
            let (path, clock) = (journal.path().to_owned(), clock.clone());
            let (identity, readers) = (journal.identity().clone(), Arc::clone(&readers));
            Box::new(move || {
                let mut journal = FileJournal::reopen(&identity, &path, clock.now())?;
                journal.close_after(Arc::clone(&readers));
                Ok(journal)
            })
        };
        let pace = MaintenanceConfig::standard();
        let shared_with = Arc::clone(&shared);
        let kept = clock.clone();
        let writer = Writer::new(shared_with, journal, reopen, state, kept, render, pace);
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

    /// The time of the file.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Says beside the file how this process can be reached.
    pub fn announce(&self, owner: &Owner) -> Result<(), StorageError> {
        let mut lock = open(&self.inner.lock);
        lock.as_mut().map_or(Ok(()), |lock| lock.announce(owner))
    }

    /// Puts a request into the queue. The reply arrives after its commit; dropping the receiver
    /// does not take the request back.
    pub fn submit(&self, submission: Submission) -> Result<Receiver, SubmitError> {
        let (respond, receiver) = oneshot::channel();
        let (economy, weight) = (submission.economy.clone(), submission.weight());
        self.inner.shared.queue.push(
            &economy,
            weight,
            QueuedSubmission {
                submission,
                respond,
            },
        )?;
        Ok(receiver)
    }

    /// Up to `limit` events of an economy, in order, at most [`EVENTS_MAX`]. Blocks for one read.
    pub fn events(
        &self,
        economy: &EconomyId,
        range: EventRange,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        self.inner.readers.events(economy, range, limit)
    }

    /// Reads of events since the file was opened: those who follow a silent economy cause none.
    pub fn event_reads(&self) -> u64 {
        self.inner.readers.event_reads()
    }

    /// The hash of a record, if the economy has it. Blocks for one small read.
    pub fn record_hash(
        &self,
        economy: &EconomyId,
        seq: u64,
    ) -> Result<Option<Digest>, StorageError> {
        self.inner.readers.record_hash(economy, seq)
    }

    /// Follows an economy: the news say when it has a new published record, and are silent when
    /// another one has.
    pub fn follow(&self, economy: &EconomyId) -> EconomyNews {
        let shared = &self.inner.shared;
        let published = || shared.published.load_full();
        shared.news.follow(economy, published)
    }

    /// Returns the progress of a webhook by its last note.
    pub fn delivery(&self, place: &WebhookPlace) -> Option<Arc<Delivery>> {
        self.inner.shared.notes.get(place)
    }

    /// The webhooks that there is a note of, in all economies.
    pub fn noted_webhooks(&self) -> Vec<WebhookPlace> {
        self.inner.shared.notes.places()
    }

    /// Notes how far a webhook has come, or that it is not there any more. The file has it a moment
    /// later; a note that is lost in a crash makes events be delivered again.
    pub fn note_delivery(&self, place: &WebhookPlace, delivery: Option<Delivery>) {
        self.inner.shared.notes.set(place, delivery);
    }

    /// Returns whether the file has the last note of a webhook.
    pub fn is_delivery_written(&self, place: &WebhookPlace) -> bool {
        self.inner.shared.notes.is_written(place)
    }

    /// Waits until the file has the last note of a webhook.
    pub async fn until_delivery_written(&self, place: &WebhookPlace) {
        self.inner.shared.notes.until_written(place).await;
    }

    /// The moment before which nothing will be recorded any more that is not published, as seen at
    /// `now`.
    pub fn settled(&self, now: Timestamp) -> Timestamp {
        self.inner.shared.settled(now)
    }

    /// The newest published state.
    pub fn state(&self) -> Arc<State> {
        self.inner.shared.published.load_full()
    }

    /// Whether requests are taken.
    pub fn is_ready(&self) -> bool {
        self.inner.shared.queue.is_open()
    }

    /// The committed answer to a key. Blocks for one small read.
    pub fn stored(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, StorageError> {
        self.inner.readers.stored(economy, key.as_str())
    }

    /// A page of an account's history, newest first; none if it is to begin at what is no movement of
    /// that account. Blocks for at most [`STEPS_MAX`] small reads.
    pub fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, StorageError> {
        self.inner.readers.history(query)
    }

    /// The record that has made a transfer, with what it moved; none if the economy never had it. What
    /// a call or the end of a hold has moved is a transfer of the same id. Blocks for a few small reads.
    pub fn transfer(
        &self,
        economy: &EconomyId,
        transfer: TransferId,
    ) -> Result<Option<SubjectRecord>, StorageError> {
        self.inner.readers.transfer(economy, transfer.into())
    }

    /// What a transfer has moved; nothing, if the economy never had it. Blocks for a few small reads.
    pub fn moved(
        &self,
        economy: &EconomyId,
        transfer: TransferId,
    ) -> Result<Vec<Movement>, StorageError> {
        self.inner.readers.moved(economy, transfer.into())
    }

    /// What became of a hold; none if the economy never had it. Blocks for a few small reads.
    pub fn hold(
        &self,
        economy: &EconomyId,
        hold: HoldId,
    ) -> Result<Option<HoldHistory>, StorageError> {
        self.inner.readers.hold(economy, hold)
    }

    /// The record of a call, however it ended; none if the economy has no such call. Blocks for a few
    /// small reads.
    pub fn call(
        &self,
        economy: &EconomyId,
        call: CallId,
    ) -> Result<Option<CallRecord>, StorageError> {
        self.inner.readers.call(economy, call)
    }

    /// A record that has changed how a plugin is installed; none if the economy has no such record. Blocks
    /// for one small read.
    pub fn revision(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        seq: u64,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        self.inner.readers.revision(economy, plugin, seq)
    }

    /// What an account had at a moment. Blocks for small reads, and for the walk along what is not in
    /// the order of accounts yet.
    pub fn balances_at(&self, query: &PastQuery) -> Result<PastBalances, StorageError> {
        self.inner.readers.balances_at(query)
    }

    /// The bytes of a component. Blocks for one read.
    pub fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StorageError> {
        self.inner.readers.component(digest)
    }

    /// Checks every promise against every record, beside the work that goes on, and looks for the
    /// heads that somebody has seen before. Blocks, for a time that grows with the journal, or until
    /// it is cancelled; `progress` is told records done and in all, after each.
    pub fn audit(
        &self,
        heads: &[SeenHead],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<AuditReport, StorageError> {
        let state = Some(&*self.state());
        let against = AuditInput { state, heads };
        let watch = Watch {
            cancel,
            gate: Some(&self.inner.shared.log_gate),
            wal_bytes_max: AUDIT_WAL_BYTES_MAX,
        };
        let path = &self.inner.path;
        let audited = tools::audit::audit(path, &against, &watch, self.inner.render, progress);
        if matches!(audited, Err(StorageError::Cancelled)) {
            self.inner.audits_cancelled.fetch_add(1, Ordering::Relaxed);
        }
        audited.map(|report| AuditReport {
            clock: Some(self.inner.clock.view()),
            ..report
        })
    }

    /// Audits that were cancelled since the file was opened.
    pub fn audits_cancelled(&self) -> u64 {
        self.inner.audits_cancelled.load(Ordering::Relaxed)
    }

    /// Makes a copy of the file at a path where nothing is, beside the work that goes on. Blocks, for
    /// a time that grows with the file; `progress` is told records verified and in all.
    pub fn back_up(
        &self,
        to: &Path,
        plan: BackupPlan,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let source = tools::backup::Source {
            path: &self.inner.path,
            published: &self.state(),
            cancel: &self.inner.closing,
            render: self.inner.render,
        };
        source.back_up(to, plan, progress)
    }

    /// Writes an economy's journal out as lines of JSON, as it is now, beside the work that goes on.
    /// `take` is given some whole lines at a time, and blocks for as long as it likes; `progress` is
    /// told records done and in all.
    pub fn export(
        &self,
        economy: &EconomyId,
        take: &mut dyn FnMut(Vec<u8>) -> std::io::Result<()>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ArchiveError> {
        tools::archive::export(&self.inner.path, &self.state(), economy, take, progress)
    }

    /// Returns the state of the writer; it changes once, when the writer ends.
    pub fn writer(&self) -> watch::Receiver<WriterState> {
        self.inner.shared.writer.subscribe()
    }

    /// Stops taking requests, and ends copies of the file that are being made. Requests that wait are
    /// served, a checkpoint is written, and then the writer ends.
    pub fn begin_close(&self) {
        self.inner.closing.cancel();
        self.inner.shared.queue.close();
    }

    /// Has a writer that is closing leave out what only makes the next start quicker.
    pub fn hurry(&self) {
        self.inner.shared.hurry();
    }

    /// Stops taking requests, serves those that wait, writes a checkpoint, ends the writer and gives
    /// the file back. Blocks until that is done. False if the file had been given up before.
    pub fn close(&self) -> bool {
        self.begin_close();
        let writer = open(&self.inner.writer).take();
        let closed = writer.is_none_or(|writer| writer.join().unwrap_or(false));
        open(&self.inner.lock).take();
        closed
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here is whole at any time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

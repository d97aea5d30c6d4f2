//! The state that the writer shares with other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bursar_ledger::{EconomyId, Timestamp};
use tokio::sync::watch;

use crate::commit::log_gate::LogGate;
use crate::commit::queue::Queue;
use crate::commit::submission::QueuedSubmission;
use crate::news::News;
use crate::state::State;
use crate::webhooks::notes::Notes;

/// The state that the writer shares with other threads.
pub(crate) struct Shared {
    pub(crate) queue: Queue<QueuedSubmission>,
    pub(crate) published: ArcSwap<State>,
    /// The gate at which long reads pause, so that the write-ahead log can restart.
    pub(crate) log_gate: LogGate,
    /// The progress of webhooks.
    pub(crate) notes: Notes,
    /// The subscriptions to new records.
    pub(crate) news: Arc<News>,
    /// The time of the batch that is being decided and is not published yet.
    pub(crate) in_hand: AtomicU64,
    /// The state of the writer.
    pub(crate) writer: watch::Sender<WriterState>,
    /// True if the writer has to end without a last checkpoint.
    pub(crate) hurried: AtomicBool,
}

/// The state of the writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriterState {
    /// The writer works, or tries to open the file again after a failure.
    Working,
    /// The writer was closed and has ended.
    Closed,
    /// The writer has ended without being closed: the file was replaced, could not be opened again in time, or the
    /// writer failed by an internal error.
    GaveUp,
}

/// The value of `in_hand` without a batch.
pub(crate) const NONE_IN_HAND: u64 = 0;

/// The value of `in_hand` while a batch gets its time.
pub(crate) const STAMPING: u64 = 1;

impl Shared {
    pub(crate) fn new(state: State, notes: Notes) -> Self {
        Self {
            queue: Queue::new(),
            notes,
            log_gate: LogGate::default(),
            news: Arc::default(),
            in_hand: AtomicU64::new(NONE_IN_HAND),
            writer: watch::Sender::new(WriterState::Working),
            hurried: AtomicBool::new(false),
            published: ArcSwap::from_pointee(state),
        }
    }

    /// Returns, as of `now`, the time before which no further record will be published.
    pub(crate) fn settled(&self, now: Timestamp) -> Timestamp {
        match self.in_hand.load(Ordering::SeqCst) {
            // The next batch reads the clock later than the caller did.
            NONE_IN_HAND => now,
            STAMPING => self.published.load().recorded_at,
            stamp => now.min(Timestamp(stamp)),
        }
    }

    /// Makes the writer skip the last checkpoint.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::SeqCst);
    }

    /// Publishes a state, and wakes the followers of the changed economies.
    pub(crate) fn publish(&self, state: &State, moved: &[EconomyId]) {
        self.published.store(Arc::new(state.clone()));
        self.news.tell(state, moved);
    }
}

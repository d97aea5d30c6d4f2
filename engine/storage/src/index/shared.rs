//! The state that the index, its readers and its builder share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::entry::RecordEntries;
use super::error::IndexError;
use super::identity::IndexIdentity;
use super::tail::{IndexTail, RecordFingerprints};
use super::view::IndexView;

/// The number of records or sides of a tail whose sorting takes longer than a commit should wait for its lock.
pub(super) const LARGE_TAIL: usize = 4_096;

/// The sizes of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexConfig {
    /// The number of records at which a tail is full.
    pub(crate) tail_records: u64,
    /// The number of sides of movements at which a tail is full.
    pub(crate) tail_sides: usize,
    /// The number of runs of one level that are merged into one.
    pub(crate) fan_out: usize,
    /// The number of full tails that may wait before the index is behind.
    pub(crate) frozen_max: usize,
    /// The pause after a failure of the builder.
    pub(crate) retry_pause: Duration,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            tail_records: 262_144,
            // A transfer has two; this bounds the memory of a tail of records with many movements.
            tail_sides: 1_048_576,
            fan_out: 8,
            frozen_max: 3,
            retry_pause: Duration::from_secs(1),
        }
    }
}

/// A kind of work of the builder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BuilderWork {
    /// Writing a full tail to runs.
    Flush,
    /// Merging runs.
    Merge,
}

/// The end of the builder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BuilderEnd {
    /// After all full tails are written.
    Drained,
    /// At once.
    Abandoned,
}

#[derive(Default)]
struct BuilderState {
    is_idle: bool,
    end: Option<BuilderEnd>,
    has_stopped: bool,
    flush_failure: Option<IndexError>,
    merge_failure: Option<IndexError>,
}

/// The state of an open index.
pub(super) struct IndexShared {
    pub(super) identity: IndexIdentity,
    pub(super) config: IndexConfig,
    active: RwLock<IndexTail>,
    view: ArcSwap<IndexView>,
    indexed: AtomicU64,
    builder: Mutex<BuilderState>,
    /// The first damage that a look-up has met.
    damage: OnceLock<IndexError>,
    /// Wakes the builder.
    work: Condvar,
    /// Wakes those who wait until the index is no longer behind.
    written: Condvar,
}

impl IndexShared {
    pub(super) fn new(identity: IndexIdentity, config: IndexConfig, view: IndexView) -> Self {
        Self {
            identity,
            config,
            active: RwLock::new(IndexTail::after(view.covered, view.head)),
            indexed: AtomicU64::new(view.covered),
            view: ArcSwap::from_pointee(view),
            builder: Mutex::default(),
            damage: OnceLock::new(),
            work: Condvar::new(),
            written: Condvar::new(),
        }
    }

    fn builder(&self) -> MutexGuard<'_, BuilderState> {
        // No holder leaves the value half changed, so a poisoned lock is safe to use.
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the tail, and returns the view that belongs to it.
    pub(super) fn read<T>(&self, take: impl FnOnce(&IndexTail) -> T) -> (T, Arc<IndexView>) {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let taken = take(&active);
        // A tail moves to the view under the write lock, so under the read lock each entry is in exactly one of them.
        (taken, self.view.load_full())
    }

    /// Reads the tail like [`Self::read`] only if the view lacks some records up to the last one.
    ///
    /// The writer waits for the lock of the tail, and a thread of low priority may hold it for long.
    pub(super) fn read_until<T>(
        &self,
        last: u64,
        take: impl FnOnce(&IndexTail) -> T,
    ) -> (Option<T>, Arc<IndexView>) {
        let view = self.view.load_full();
        if last <= view.last() {
            return (None, view);
        }
        let (taken, view) = self.read(take);
        (Some(taken), view)
    }

    /// Returns the newest view.
    pub(super) fn view(&self) -> Arc<IndexView> {
        self.view.load_full()
    }

    /// Replaces the view by a changed copy. The builder and the writer of records change different parts.
    pub(super) fn change_view(&self, change: impl Fn(&mut IndexView)) {
        self.view.rcu(|view| {
            let mut changed = IndexView::clone(view);
            change(&mut changed);
            changed
        });
    }

    /// Returns the newest indexed record.
    pub(super) fn indexed(&self) -> u64 {
        self.indexed.load(Ordering::Acquire)
    }

    /// Adds the next records to the tail. `head` is the hash of the log up to the last of them.
    pub(super) fn add(&self, entries: &[RecordEntries], head: [u8; 32]) -> Result<(), IndexError> {
        // Hashes are computed before the lock is taken, because readers wait for it.
        let fingerprints: Vec<_> = entries
            .iter()
            .map(|entries| RecordFingerprints::of(&self.identity, entries))
            .collect();
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let mut last = active.last;
        for entries in entries {
            if entries.record != last + 1 {
                let found = entries.record;
                return Err(IndexError::OutOfOrder { last, found });
            }
            last = entries.record;
        }
        if entries.is_empty() {
            return Ok(());
        }
        for (entries, fingerprints) in entries.iter().zip(&fingerprints) {
            active.add(entries, fingerprints);
        }
        active.head = head;
        self.indexed.store(last, Ordering::Release);
        let is_full = active.records() >= self.config.tail_records
            || active.side_count() >= self.config.tail_sides;
        if is_full {
            self.freeze(&mut active);
        }
        Ok(())
    }

    /// Hands the records of the tail to the builder.
    pub(super) fn freeze_active(&self) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        if !active.is_empty() {
            self.freeze(&mut active);
        }
    }

    /// Hands the records of a large tail to the builder, unless the index would be behind then.
    pub(super) fn freeze_if_large(&self) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let is_large = active.records() >= LARGE_TAIL as u64 || active.side_count() >= LARGE_TAIL;
        let waiting = self.view.load().frozen.len();
        if is_large && waiting + 1 < self.config.frozen_max {
            self.freeze(&mut active);
        }
    }

    fn freeze(&self, active: &mut IndexTail) {
        let next = active.next();
        let full = Arc::new(std::mem::replace(active, next));
        self.change_view(|view| view.frozen.push(Arc::clone(&full)));
        let _builder = self.builder();
        self.work.notify_one();
    }

    /// Returns true if as many full tails wait as may wait.
    pub(super) fn is_behind(&self) -> bool {
        self.view.load().frozen.len() >= self.config.frozen_max
    }

    /// Waits until the index is not behind, or until its builder fails.
    pub(super) fn until_not_behind(&self) -> Result<(), IndexError> {
        let mut builder = self.builder();
        while self.is_behind() {
            if let Some(failure) = builder.failure() {
                return Err(failure);
            }
            let woken = self.written.wait(builder);
            builder = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Returns the failure that keeps the builder from its work.
    pub(super) fn failure(&self) -> Option<IndexError> {
        let damage = self.damage.get().cloned();
        damage.or_else(|| self.builder().failure())
    }

    /// Returns the result of a look-up, and notes the damage that it met. An index that is known to be damaged is not
    /// used any longer, and is not closed as one that is whole.
    pub(super) fn noted<T>(&self, read: Result<T, IndexError>) -> Result<T, IndexError> {
        if let Err(error @ IndexError::Damaged { .. }) = &read {
            // The first damage is the one to report.
            drop(self.damage.set(error.clone()));
        }
        read
    }

    /// Returns true if a look-up has met damage.
    pub(super) fn is_damaged(&self) -> bool {
        self.damage.get().is_some()
    }

    /// Tells the builder to end.
    pub(super) fn end_builder(&self, end: BuilderEnd) {
        self.builder().end = Some(end);
        self.work.notify_one();
    }

    /// Waits for work, and returns `None` if the builder has to end.
    pub(super) fn next_work(&self, has_merge: bool) -> Option<BuilderWork> {
        let mut builder = self.builder();
        loop {
            let view = self.view.load_full();
            let waiting = !view.frozen.is_empty();
            // A long merge makes way for full tails, but not for so many that look-ups would visit runs without end.
            let is_crowded = view.runs.keys.len() > self.config.fan_out.saturating_mul(8);
            match builder.end {
                Some(BuilderEnd::Abandoned) => return None,
                Some(BuilderEnd::Drained) => return waiting.then_some(BuilderWork::Flush),
                None if has_merge && (is_crowded || !waiting) => return Some(BuilderWork::Merge),
                None if waiting => return Some(BuilderWork::Flush),
                None => {}
            }
            builder.is_idle = true;
            let woken = self.work.wait(builder);
            builder = woken.unwrap_or_else(PoisonError::into_inner);
            builder.is_idle = false;
        }
    }

    /// Returns true if the builder waits for work.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let builder = self.builder();
        builder.is_idle && self.view.load().frozen.is_empty()
    }

    /// Notes the result of work.
    pub(super) fn note(&self, work: BuilderWork, failure: Option<IndexError>) {
        let mut builder = self.builder();
        let place = match work {
            BuilderWork::Flush => &mut builder.flush_failure,
            BuilderWork::Merge => &mut builder.merge_failure,
        };
        // A damaged file stays damaged, even if the next work does not read it.
        if !matches!(place, Some(IndexError::Damaged { .. })) {
            *place = failure;
        }
        drop(builder);
        self.written.notify_all();
    }

    /// Waits after a failure, and returns false if the builder has to end.
    pub(super) fn pause(&self) -> bool {
        let builder = self.builder();
        let going = |builder: &mut BuilderState| builder.end.is_none();
        let waited = self
            .work
            .wait_timeout_while(builder, self.config.retry_pause, going);
        let (builder, _) = waited.unwrap_or_else(PoisonError::into_inner);
        builder.end.is_none()
    }

    /// Notes that the builder has ended.
    pub(super) fn note_stopped(&self) {
        self.builder().has_stopped = true;
        self.written.notify_all();
    }
}

impl BuilderState {
    fn failure(&self) -> Option<IndexError> {
        let failure = self.flush_failure.as_ref().or(self.merge_failure.as_ref());
        let stopped = self.has_stopped.then_some(IndexError::BuilderStopped);
        failure.cloned().or(stopped)
    }
}

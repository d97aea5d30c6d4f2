//! The index of the log: idempotency keys, ids, numbers in economies, and movements by account, each with the
//! number of its record in the file.
//!
//! The log is the truth; the index can be rebuilt from it at any time. But a key that is not found is paid again, so
//! the index never answers "absent" from a file that is not as it was written: pages have checksums, and a wrong one
//! is an error. The newest records are in a tail in memory. A thread sorts each full tail and writes it to *runs*, one
//! of each kind, and merges runs, so that a look-up visits few.
//!
//! The runs are files of a folder and not rows of a second SQLite file, because a run is written once, in order, and
//! is then only read. SQLite would write each page twice (to its log and to the file) and needs a connection for each
//! reader; a file is read at any offset by any number of threads without a lock.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::builder::IndexBuilder;
use super::entry::{
    FingerprintEntry, IndexEntry, MovementEntry, RecordEntries, SequenceEntry, SideEntry, SideGroup,
};
use super::error::IndexError;
use super::folder::IndexFolder;
use super::identity::LogIdentity;
use super::opening::{self, IndexOpenError, IndexOrigin};
use super::scan::{EntrySource, MergedEntries, RunScan};
use super::shared::{BuilderEnd, IndexConfig, IndexShared};
use super::tail::IndexTail;
use super::view::{IndexView, Runs};

/// The settings of an opening.
pub(crate) struct IndexOptions {
    /// True to check each page and digest, as after a stop that was not orderly.
    pub(crate) verified: bool,
    /// The secret of the index if it begins empty.
    pub(crate) secret: [u8; 16],
    /// The sizes.
    pub(crate) config: IndexConfig,
}

/// An open index, with the thread that builds it.
pub(crate) struct Index {
    shared: Arc<IndexShared>,
    #[cfg(test)]
    origin: IndexOrigin,
    builder: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Opens the index of a log. An index that is damaged, or that does not belong to the log, is removed, and the new
    /// one begins empty. The caller adds all records after [`Self::indexed`] before it serves.
    pub(crate) fn open<L: LogIdentity>(
        folder: Arc<dyn IndexFolder>,
        log: &L,
        options: &IndexOptions,
    ) -> Result<Self, IndexOpenError<L::Error>> {
        let opened = opening::open(&*folder, log, options.verified, options.secret)?;
        if let IndexOrigin::Discarded(reason) = &opened.origin {
            tracing::warn!(%reason, "the index was removed and is rebuilt from the log");
        }
        let shared = IndexShared::new(opened.identity, options.config, opened.view);
        let shared = Arc::new(shared);
        let builder = IndexBuilder::new(Arc::clone(&shared), folder, opened.next_number);
        let thread = std::thread::Builder::new().name("index".to_owned());
        let spawned = thread.spawn(move || builder.run());
        let builder = spawned.map_err(|error| IndexError::io("start", "its thread", error))?;
        Ok(Self {
            shared,
            #[cfg(test)]
            origin: opened.origin,
            builder: Mutex::new(Some(builder)),
        })
    }

    /// Returns the state in which the index was opened.
    #[cfg(test)]
    pub(crate) fn origin(&self) -> &IndexOrigin {
        &self.origin
    }

    /// Returns the newest record that look-ups find. They find all records before it, too.
    pub(crate) fn indexed(&self) -> u64 {
        self.shared.indexed()
    }

    /// Returns the newest record that the files cover.
    pub(crate) fn covered(&self) -> u64 {
        self.shared.view().covered
    }

    /// Adds the next records, in their order and after their commit. `head` is the hash of the log up to the last of
    /// them. It never waits for the disk.
    pub(crate) fn add(&self, entries: &[RecordEntries], head: [u8; 32]) -> Result<(), IndexError> {
        self.shared.add(entries, head)
    }

    /// Adds the next records after the index is no longer behind, as a rebuild does.
    pub(crate) fn add_blocking(
        &self,
        entries: &[RecordEntries],
        head: [u8; 32],
    ) -> Result<(), IndexError> {
        self.shared.until_not_behind()?;
        self.shared.add(entries, head)
    }

    /// Returns true if the builder is so far behind that fewer records should be committed.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.is_behind()
    }

    /// Returns the failure that keeps the builder from its work, or that made it stop.
    pub(crate) fn failure(&self) -> Option<IndexError> {
        self.shared.failure()
    }

    /// Returns true if a look-up has met damage. The index has to be built again.
    pub(crate) fn is_damaged(&self) -> bool {
        self.shared.is_damaged()
    }

    /// Returns true if no full tail waits and no merge is due.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.shared.is_idle()
    }

    /// Returns the kind, level, entries and length of each run, for figures.
    #[cfg(test)]
    pub(super) fn describe(&self) -> String {
        let runs = self.shared.view().runs.descriptions();
        let line = |run: &super::manifest::RunDescription| {
            format!(
                "{:?} {} {} {}\n",
                run.kind, run.level, run.entries, run.length
            )
        };
        runs.iter().map(line).collect()
    }

    /// Returns the bytes of filters and of first entries of pages in memory.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.shared.view().runs.memory()
    }

    /// Returns the fingerprint under which an idempotency key is found in [`Self::each_key`].
    pub(crate) fn fingerprint_of_key(&self, economy: u32, key: &str) -> u64 {
        self.shared.identity.of_key(economy, key)
    }

    /// Returns the fingerprint under which an id is found in [`Self::each_id`].
    pub(crate) fn fingerprint_of_id(&self, economy: u32, id: &[u8; 16]) -> u64 {
        self.shared.identity.of_id(economy, id)
    }

    /// Returns the records that may have an idempotency key, in order. The caller confirms each in the log; a record
    /// that is not among them does not have the key.
    pub(crate) fn records_of_key(&self, economy: u32, key: &str) -> Result<Vec<u64>, IndexError> {
        self.records_of_key_until(economy, key, u64::MAX)
    }

    /// Returns the records up to one, and perhaps some later ones, that may have an idempotency key, in order. Takes no
    /// lock that the writer waits for if the record is in no tail that still grows.
    pub(crate) fn records_of_key_until(
        &self,
        economy: u32,
        key: &str,
        last: u64,
    ) -> Result<Vec<u64>, IndexError> {
        let fingerprint = self.fingerprint_of_key(economy, key);
        self.records_of(
            fingerprint,
            last,
            |tail, found| tail.find_key(fingerprint, found),
            |view| &view.runs.keys,
        )
    }

    /// Returns the records that may have an id, in order. The caller confirms each in the log.
    pub(crate) fn records_of_id(
        &self,
        economy: u32,
        id: &[u8; 16],
    ) -> Result<Vec<u64>, IndexError> {
        let fingerprint = self.fingerprint_of_id(economy, id);
        self.records_of(
            fingerprint,
            u64::MAX,
            |tail, found| tail.find_id(fingerprint, found),
            |view| &view.runs.ids,
        )
    }

    fn records_of(
        &self,
        fingerprint: u64,
        last: u64,
        find: impl Fn(&IndexTail, &mut Vec<u64>),
        runs: impl Fn(&IndexView) -> &Runs<FingerprintEntry>,
    ) -> Result<Vec<u64>, IndexError> {
        let mut found = Vec::new();
        let view = self
            .shared
            .read_until(last, |tail| find(tail, &mut found))
            .1;
        for tail in &view.frozen {
            find(tail, &mut found);
        }
        for run in runs(&view) {
            let read = run.find(fingerprint, &mut found);
            self.shared.noted(read)?;
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Returns up to `limit` records of an economy after a number, in order: the number in the economy, and the number
    /// in the file.
    pub(crate) fn records_after(
        &self,
        economy: u32,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, IndexError> {
        let mut newest = Vec::new();
        let take = |tail: &IndexTail| tail.records_after(economy, seq, limit, &mut newest);
        let ((), view) = self.shared.read(take);
        // Numbers of an economy grow with the records, and runs are in the order of records: the parts follow each
        // other without a merge.
        let mut found = Vec::new();
        for run in &view.runs.sequence {
            let read = run.after(economy, seq, limit, &mut found);
            self.shared.noted(read)?;
        }
        for tail in &view.frozen {
            tail.records_after(economy, seq, limit, &mut found);
        }
        found.append(&mut newest);
        found.truncate(limit);
        Ok(found)
    }

    /// Returns up to `limit` movements of an account and an asset before a movement, newest first.
    pub(crate) fn movements_before(
        &self,
        economy: u32,
        account: u32,
        asset: u32,
        below: u64,
        limit: usize,
    ) -> Result<Vec<MovementEntry>, IndexError> {
        let group = SideGroup {
            economy,
            account,
            asset,
        };
        let mut found = Vec::new();
        let take = |tail: &IndexTail| tail.movements_before(group, below, limit, &mut found);
        let ((), view) = self.shared.read(take);
        for tail in view.frozen.iter().rev() {
            tail.movements_before(group, below, limit, &mut found);
        }
        for run in view.runs.movements.iter().rev() {
            if found.len() >= limit {
                break;
            }
            let read = run.before(group, below, limit, &mut found, SideEntry::movement_entry);
            self.shared.noted(read)?;
        }
        Ok(found)
    }

    /// Hands a large tail to the builder, so that [`Self::each_key`] and similar reads then need no lock for it.
    pub(crate) fn freeze(&self) {
        self.shared.freeze_if_large();
    }

    /// Returns all fingerprints of keys with their records, in order of fingerprints. Records after the last one may be
    /// missing. Reads the files on the way.
    pub(crate) fn each_key(&self, last: u64) -> MergedEntries<FingerprintEntry> {
        self.each(last, IndexTail::sorted_keys, |view| &view.runs.keys)
    }

    /// Returns all fingerprints of ids with their records, in order of fingerprints. Records after the last one may be
    /// missing.
    pub(crate) fn each_id(&self, last: u64) -> MergedEntries<FingerprintEntry> {
        self.each(last, IndexTail::sorted_ids, |view| &view.runs.ids)
    }

    /// Returns all records in order of economies and their numbers. Records after the last one may be missing.
    pub(crate) fn each_record(&self, last: u64) -> MergedEntries<SequenceEntry> {
        self.each(last, IndexTail::sorted_sequence, |view| &view.runs.sequence)
    }

    /// Returns all sides of movements in order of accounts, assets and movements. Those of records after the last one
    /// may be missing.
    pub(crate) fn each_side(&self, last: u64) -> MergedEntries<SideEntry> {
        self.each(last, IndexTail::sorted_sides, |view| &view.runs.movements)
    }

    fn each<E: IndexEntry>(
        &self,
        last: u64,
        sorted: impl Fn(&IndexTail) -> Vec<E>,
        runs: impl Fn(&IndexView) -> &Runs<E>,
    ) -> MergedEntries<E> {
        let (newest, view) = self.shared.read_until(last, &sorted);
        let frozen = view.frozen.iter().map(|tail| sorted(tail));
        let in_memory = frozen.chain(newest);
        let mut sources: Vec<_> = in_memory
            .map(|entries| EntrySource::Sorted(entries.into_iter()))
            .collect();
        let scans = runs(&view).iter().cloned().map(RunScan::new);
        sources.extend(scans.map(EntrySource::Run));
        MergedEntries::new(sources)
    }

    /// Writes the tail to runs and ends the thread, so that the next start has nothing to add. Merges that have begun
    /// are abandoned.
    pub(crate) fn close(&self) -> Result<(), IndexError> {
        self.shared.freeze_active();
        self.end(BuilderEnd::Drained);
        let is_written = self.shared.view().frozen.is_empty();
        let failure = self.shared.failure().filter(|_| !is_written);
        failure.map_or(Ok(()), Err)
    }

    fn end(&self, end: BuilderEnd) {
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(builder) = builder.take() {
            self.shared.end_builder(end);
            // A panic of the thread is noted by the thread itself.
            builder.join().ok();
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.end(BuilderEnd::Abandoned);
    }
}

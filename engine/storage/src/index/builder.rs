//! The builder: the thread that writes full tails to runs, and merges runs.
//!
//! A run is complete and synced before a manifest names it, and a file is removed after no manifest names it. After a
//! failure the builder discards what it wrote and begins again with a new file, because pages that a failed sync lost
//! look clean. Nothing is lost meanwhile: the tails stay in memory, and the log has all records.

use std::sync::Arc;

use super::entry::IndexEntry;
use super::error::IndexError;
use super::folder::IndexFolder;
use super::manifest::{IndexManifest, RunDescription, RunKind};
use super::merge::{MergePlan, RunMerge};
use super::run::SortedRun;
use super::run_writer::{RunPlan, RunWriter};
use super::shared::{BuilderWork, IndexShared};
use super::tail::IndexTail;
use super::view::{IndexView, RunSet};

/// The builder of an index.
pub(super) struct IndexBuilder {
    shared: Arc<IndexShared>,
    folder: Arc<dyn IndexFolder>,
    next_number: u64,
    merge: Option<Box<dyn RunMerge>>,
    /// The file of the merge that has begun.
    merge_file: Option<u64>,
    /// Files of the flush that has begun.
    flush_files: Vec<u64>,
    /// Files that the next manifest does not name.
    unnamed: Vec<u64>,
}

/// A notice that the builder has ended, also by a panic.
struct StopNotice(Arc<IndexShared>);

impl Drop for StopNotice {
    fn drop(&mut self) {
        self.0.note_stopped();
    }
}

impl IndexBuilder {
    pub(super) fn new(
        shared: Arc<IndexShared>,
        folder: Arc<dyn IndexFolder>,
        next_number: u64,
    ) -> Self {
        Self {
            shared,
            folder,
            next_number,
            merge: None,
            merge_file: None,
            flush_files: Vec::new(),
            unnamed: Vec::new(),
        }
    }

    /// Works until the index ends.
    pub(super) fn run(mut self) {
        let _notice = StopNotice(Arc::clone(&self.shared));
        loop {
            let has_merge = self.merge.is_some() || self.plan().is_some();
            let Some(work) = self.shared.next_work(has_merge) else {
                break;
            };
            let result = match work {
                BuilderWork::Flush => self.flush(),
                BuilderWork::Merge => self.merge(),
            };
            match result {
                Ok(is_complete) => {
                    if is_complete {
                        self.shared.note(work, None);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, ?work, "building the index failed and will be repeated");
                    self.shared.note(work, Some(error));
                    if !self.shared.pause() {
                        break;
                    }
                }
            }
        }
        self.discard_merge();
    }

    fn plan(&self) -> Option<MergePlan> {
        MergePlan::choose(&self.shared.view().runs, self.shared.config.fan_out)
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Writes the oldest full tail, and returns true if there was one.
    fn flush(&mut self) -> Result<bool, IndexError> {
        let view = self.shared.view();
        let Some(tail) = view.frozen.first() else {
            return Ok(false);
        };
        let mut runs = view.runs.clone();
        let written = self.write_tail(tail, &mut runs);
        let flushed = written.and_then(|()| self.commit(&runs, tail.last, tail.head));
        let files = std::mem::take(&mut self.flush_files);
        if let Err(error) = flushed {
            self.discard(files);
            return Err(error);
        }
        self.shared.change_view(|view| {
            view.frozen.remove(0);
            view.runs = runs.clone();
            view.covered = tail.last;
            view.head = tail.head;
        });
        self.remove_unnamed();
        Ok(true)
    }

    fn write_tail(&mut self, tail: &IndexTail, runs: &mut RunSet) -> Result<(), IndexError> {
        let keys = self.write_run(tail, RunKind::Keys, &tail.sorted_keys())?;
        let ids = self.write_run(tail, RunKind::Ids, &tail.sorted_ids())?;
        let sequence = self.write_run(tail, RunKind::Sequence, &tail.sorted_sequence())?;
        let movements = self.write_run(tail, RunKind::Movements, &tail.sorted_sides())?;
        runs.keys.push(keys);
        runs.ids.push(ids);
        runs.sequence.push(sequence);
        runs.movements.push(movements);
        Ok(())
    }

    fn write_run<E: IndexEntry>(
        &mut self,
        tail: &IndexTail,
        kind: RunKind,
        entries: &[E],
    ) -> Result<Arc<SortedRun<E>>, IndexError> {
        let plan = RunPlan {
            number: self.take_number(),
            kind,
            level: 0,
            first: tail.first,
            last: tail.last,
        };
        self.flush_files.push(plan.number);
        let mut writer = RunWriter::create(&*self.folder, &self.shared.identity, plan)?;
        for entry in entries {
            writer.push(entry)?;
        }
        Ok(Arc::new(writer.finish()?))
    }

    /// Carries a merge on, and returns true if it is complete.
    fn merge(&mut self) -> Result<bool, IndexError> {
        let merged = self.merge_step();
        if merged.is_err() {
            self.discard_merge();
        }
        merged
    }

    fn merge_step(&mut self) -> Result<bool, IndexError> {
        let Some(merge) = &mut self.merge else {
            return self.begin_merge();
        };
        if !merge.step()? {
            return Ok(false);
        }
        let Some(merge) = self.merge.take() else {
            return Ok(false);
        };
        let view = self.shared.view();
        let mut runs = view.runs.clone();
        let inputs = merge.finish(&mut runs)?;
        self.commit(&runs, view.covered, view.head)?;
        self.merge_file = None;
        self.shared
            .change_view(|view: &mut IndexView| view.runs = runs.clone());
        self.unnamed.extend(inputs);
        self.remove_unnamed();
        Ok(true)
    }

    fn begin_merge(&mut self) -> Result<bool, IndexError> {
        if let Some(plan) = self.plan() {
            let number = self.take_number();
            self.merge_file = Some(number);
            let runs = &self.shared.view().runs;
            let identity = &self.shared.identity;
            self.merge = Some(plan.begin(&*self.folder, identity, runs, number)?);
        }
        Ok(false)
    }

    fn discard_merge(&mut self) {
        self.merge = None;
        let file = self.merge_file.take();
        self.discard(file.into_iter().collect());
    }

    /// Replaces the manifest. If its result is uncertain, the new files stay until a later manifest is certain.
    fn commit(&mut self, runs: &RunSet, covered: u64, head: [u8; 32]) -> Result<(), IndexError> {
        let manifest = IndexManifest {
            identity: self.shared.identity,
            covered,
            head,
            runs: runs.descriptions(),
        };
        manifest.store(&*self.folder).map_err(|failure| {
            if failure.is_uncertain {
                self.unnamed.append(&mut self.flush_files);
                self.unnamed
                    .extend(self.merge_file.take_if(|_| self.merge.is_none()));
            }
            failure.error
        })
    }

    /// Removes files that no manifest can name.
    fn discard(&self, files: Vec<u64>) {
        for number in files {
            let name = RunDescription::file_name(number);
            // The next start removes what stays.
            if let Err(error) = self.folder.remove(&name) {
                tracing::debug!(%error, name, "a file of the index was not removed");
            }
        }
    }

    fn remove_unnamed(&mut self) {
        let files = std::mem::take(&mut self.unnamed);
        self.discard(files);
    }
}

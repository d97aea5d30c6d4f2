//! Merges of runs of one kind, in small steps.

use std::sync::Arc;

use super::entry::IndexEntry;
use super::error::IndexError;
use super::folder::IndexFolder;
use super::identity::IndexIdentity;
use super::manifest::{RunDescription, RunKind};
use super::run_writer::{RunPlan, RunWriter};
use super::scan::{EntrySource, MergedEntries, RunScan};
use super::view::{RunSet, Runs};

/// The number of entries of one step, which takes a few milliseconds.
const STEP_ENTRIES: usize = 16_384;

/// The runs that are merged next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MergePlan {
    kind: RunKind,
    level: u8,
    inputs: Vec<RunDescription>,
}

impl MergePlan {
    /// Chooses the oldest runs of the lowest level that has enough of them.
    pub(super) fn choose(runs: &RunSet, fan_out: usize) -> Option<Self> {
        let mut chosen: Option<Self> = None;
        for kind in RunKind::ALL {
            let runs = runs.of_kind(kind);
            for of_level in runs.chunk_by(|one, other| one.level == other.level) {
                let Some(inputs) = of_level.get(..fan_out) else {
                    continue;
                };
                let level = of_level.first().map_or(0, |run| run.level);
                if chosen.as_ref().is_none_or(|chosen| level < chosen.level) {
                    chosen = Some(Self {
                        kind,
                        level,
                        inputs: inputs.to_vec(),
                    });
                }
            }
        }
        chosen
    }

    /// Begins the merge into a run of a given number.
    pub(super) fn begin(
        &self,
        folder: &dyn IndexFolder,
        identity: &IndexIdentity,
        runs: &RunSet,
        number: u64,
    ) -> Result<Box<dyn RunMerge>, IndexError> {
        let plan = RunPlan {
            number,
            kind: self.kind,
            level: self.level.saturating_add(1),
            first: self.inputs.first().map_or(0, |run| run.first),
            last: self.inputs.last().map_or(0, |run| run.last),
        };
        let inputs: Vec<_> = self.inputs.iter().map(|run| run.number).collect();
        let place = (folder, identity);
        match self.kind {
            RunKind::Keys => KindMerge::begin(place, plan, inputs, runs, |runs| &mut runs.keys),
            RunKind::Ids => KindMerge::begin(place, plan, inputs, runs, |runs| &mut runs.ids),
            RunKind::Sequence => {
                KindMerge::begin(place, plan, inputs, runs, |runs| &mut runs.sequence)
            }
            RunKind::Movements => {
                KindMerge::begin(place, plan, inputs, runs, |runs| &mut runs.movements)
            }
        }
    }
}

/// A merge that has begun.
pub(super) trait RunMerge: Send {
    /// Merges further entries, and returns true if there are no more.
    fn step(&mut self) -> Result<bool, IndexError>;
    /// Completes the file, and replaces the inputs in the runs by it. Returns the numbers of the inputs.
    fn finish(self: Box<Self>, runs: &mut RunSet) -> Result<Vec<u64>, IndexError>;
}

/// The place of the runs of one kind.
type RunsOf<E> = fn(&mut RunSet) -> &mut Runs<E>;

struct KindMerge<E> {
    inputs: Vec<u64>,
    entries: MergedEntries<E>,
    writer: RunWriter<E>,
    runs_of: RunsOf<E>,
}

impl<E: IndexEntry> KindMerge<E> {
    fn begin(
        (folder, identity): (&dyn IndexFolder, &IndexIdentity),
        plan: RunPlan,
        inputs: Vec<u64>,
        runs: &RunSet,
        runs_of: RunsOf<E>,
    ) -> Result<Box<dyn RunMerge>, IndexError> {
        let mut runs = runs.clone();
        let mut of_kind = std::mem::take(runs_of(&mut runs));
        of_kind.retain(|run| inputs.contains(&run.description.number));
        let sources = of_kind
            .into_iter()
            .map(|run| EntrySource::Run(RunScan::new(run)));
        Ok(Box::new(Self {
            entries: MergedEntries::new(sources.collect()),
            writer: RunWriter::create(folder, identity, plan)?,
            inputs,
            runs_of,
        }))
    }
}

impl<E: IndexEntry> RunMerge for KindMerge<E> {
    fn step(&mut self) -> Result<bool, IndexError> {
        for _ in 0..STEP_ENTRIES {
            let Some(entry) = self.entries.next().transpose()? else {
                return Ok(true);
            };
            self.writer.push(&entry)?;
        }
        Ok(false)
    }

    fn finish(self: Box<Self>, runs: &mut RunSet) -> Result<Vec<u64>, IndexError> {
        let run = Arc::new(self.writer.finish()?);
        let of_kind = (self.runs_of)(runs);
        let is_input = |number: u64| self.inputs.contains(&number);
        // New runs may have followed the inputs since the merge began, so the output takes the place of the first.
        let place = of_kind
            .iter()
            .position(|run| is_input(run.description.number));
        of_kind.retain(|run| !is_input(run.description.number));
        of_kind.insert(place.unwrap_or_default(), run);
        Ok(self.inputs)
    }
}

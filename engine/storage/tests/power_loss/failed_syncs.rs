//! Failed syncs: the lost data remains readable, but counts as stored only after it was written again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::disk::{Disk, Fate};
use crate::indexes::IndexCopy;
use crate::recorder::record;
use crate::recording::{Call, Fault, Recording};
use crate::requests::{Answers, FILE, ask, check_folder, folder, found, open, wanted};

/// The number of requests of a run.
const REQUESTS: u64 = 24;

/// The number of power cuts after each failed sync.
const CUTS: usize = 6;

/// A file with its disk.
struct Machine {
    folder: tempfile::TempDir,
    recording: Arc<Recording>,
    disk: Disk,
    /// The answers, each with the number of operations before it was received.
    answers: Vec<(usize, u64, Bytes)>,
    made: u64,
}

impl Machine {
    fn new() -> Self {
        let folder = folder();
        let storage = open(folder.path()).expect("it is made");
        found(&storage);
        storage.close();
        let bytes = std::fs::read(folder.path().join(FILE)).expect("the file");
        let recording = record(folder.path());
        Self {
            folder,
            recording,
            disk: Disk::with(PathBuf::from(FILE), bytes),
            answers: Vec::new(),
            made: 0,
        }
    }

    /// Sends each of some requests once. Stops at the fault if `stops_at_fault` is set.
    fn ask(&mut self, times: u64, stops_at_fault: bool) {
        let Ok(storage) = open(self.folder.path()) else {
            return;
        };
        for _ in 0..times {
            self.made += 1;
            let answer = ask(&storage, self.made);
            let met = self.recording.was_met();
            if let Ok(answer) = answer {
                let after = self.recording.len();
                self.answers.push((after, self.made, answer.body));
            }
            if met && stops_at_fault {
                break;
            }
        }
        storage.close();
    }

    /// Cuts the power after some of the operations, and checks everything that was acknowledged by then.
    fn check(&self, disk: &Disk, asked: usize, fate: Fate) -> Result<(), String> {
        let left = folder();
        disk.cut(fate, left.path());
        let numbers: Vec<u64> = (1..=self.made).collect();
        let answers = self.answers.iter().filter(|(after, ..)| *after <= asked);
        let answers: Answers = answers
            .map(|(_, number, body)| (*number, body.clone()))
            .collect();
        check_folder(left.path(), &numbers, &answers)
            .map_err(|what| format!("cut after {asked} with {fate:?}: {what}"))
    }

    /// Cuts the power at moments after an operation, most of them shortly after it, and returns the checks that failed.
    fn check_after(&self, from: usize) -> Vec<String> {
        let mut disk = self.disk.clone();
        let ops = self.recording.ops();
        let last = ops.len();
        let moments = (0..CUTS)
            .map(|cut| from + cut * cut)
            .filter(|at| *at < last);
        let moments: BTreeSet<usize> = moments.chain([last]).collect();
        let mut wrong = Vec::new();
        for asked in 0..=last {
            if moments.contains(&asked) {
                for fate in [Fate::Lost, Fate::Torn(asked as u64)] {
                    wrong.extend(self.check(&disk, asked, fate).err());
                }
            }
            if let Some(op) = ops.get(asked) {
                disk.apply(op);
            }
        }
        wrong
    }

    /// Starts the process again at the moment of the fault, when the kernel shows the files in `copy`.
    fn restarted(self, copy: tempfile::TempDir, at: usize) -> Self {
        let mut disk = self.disk;
        for op in self.recording.ops().iter().take(at) {
            disk.apply(op);
        }
        let answers = self.answers.into_iter().filter(|(after, ..)| *after <= at);
        Self {
            recording: record(copy.path()),
            folder: copy,
            disk,
            answers: answers.map(|(_, number, body)| (0, number, body)).collect(),
            made: self.made,
        }
    }
}

/// Copies the files that the kernel shows.
fn copy(from: &Path, to: &Path) {
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        // The log may be absent.
        drop(std::fs::copy(from.join(&name), to.join(&name)));
    }
    IndexCopy::of(from).put(to);
}

/// Returns the number of syncs of a run.
fn syncs() -> usize {
    let mut machine = Machine::new();
    machine.recording.plan(sync_after(usize::MAX), || ());
    machine.ask(REQUESTS, false);
    machine.recording.calls(Call::Sync)
}

fn sync_after(after: usize) -> Fault {
    Fault {
        call: Call::Sync,
        after,
        lasts: false,
    }
}

/// Returns the numbers of the syncs that fail. The environment can request more of them.
fn failing() -> impl Iterator<Item = usize> {
    let count = syncs();
    assert!(count > 30, "{count} syncs");
    let most = wanted("BURSAR_FAULTS", 8);
    // Later syncs have more data to lose.
    (0..count).rev().step_by(count.div_ceil(most).max(1))
}

#[test]
fn what_a_failed_sync_lost_is_not_trusted_by_the_running_process() {
    for after in failing() {
        let mut machine = Machine::new();
        let at = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&at);
        let recording = Arc::clone(&machine.recording);
        let fault = sync_after(after);
        machine.recording.plan(fault, move || {
            noted.store(recording.len(), Ordering::SeqCst);
        });
        machine.ask(REQUESTS, false);
        let wrong = machine.check_after(at.load(Ordering::SeqCst));
        assert!(wrong.is_empty(), "sync {after}: {}", wrong.join("\n"));
    }
}

#[test]
fn what_a_failed_sync_lost_is_not_trusted_after_a_restart() {
    let mut met = 0;
    for after in failing() {
        let mut machine = Machine::new();
        let shown = folder();
        let at = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&at);
        let recording = Arc::clone(&machine.recording);
        let from = machine.folder.path().to_owned();
        let to = shown.path().to_owned();
        machine.recording.plan(sync_after(after), move || {
            // The failed sync is recorded after this.
            noted.store(recording.len() + 1, Ordering::SeqCst);
            copy(&from, &to);
        });
        machine.ask(REQUESTS, true);
        if !machine.recording.was_met() {
            continue;
        }
        met += 1;
        let mut machine = machine.restarted(shown, at.load(Ordering::SeqCst));
        machine.ask(4, false);
        let wrong = machine.check_after(0);
        assert!(wrong.is_empty(), "sync {after}: {}", wrong.join("\n"));
    }
    assert!(met > 4, "{met} syncs failed");
}

//! A power cut at any moment of a run with all kinds of commits.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bursar_ledger::Timestamp;
use bursar_storage::{Delivery, Storage};
use bytes::Bytes;

use crate::disk::{Disk, Fate};
use crate::indexes::{IndexCopy, Indexes};
use crate::recorder::record;
use crate::recording::{Op, Recording};
use crate::requests::{
    Answers, FILE, PATIENCE, check_folder, folder, found, guild, name, open, receive, submit,
    wanted,
};

/// The operations on the disk, and the requests that were acknowledged by then.
#[derive(Clone)]
struct Run {
    /// The new file, which gets its name once it is complete and synced.
    made: Vec<u8>,
    ops: Vec<Op>,
    /// The requests that were sent, each with the number of operations before it.
    made_after: Vec<usize>,
    /// The answers, each with the number of operations before it was received.
    answers: Vec<(usize, u64, Bytes)>,
    indexes: Indexes,
}

/// A run of the real storage with everything that it does to its file: it commits, writes checkpoints, copies the log
/// into the file and restarts it, shuts down properly and starts again.
struct Runner {
    folder: tempfile::TempDir,
    recording: Arc<Recording>,
    run: Run,
}

impl Runner {
    fn new() -> Self {
        let folder = folder();
        open(folder.path()).expect("it is made").close();
        let made = std::fs::read(folder.path().join(FILE)).expect("the file");
        let recording = record(folder.path());
        let run = Run {
            made,
            ops: Vec::new(),
            made_after: Vec::new(),
            answers: Vec::new(),
            indexes: Indexes::default(),
        };
        Self {
            folder,
            recording,
            run,
        }
    }

    /// Sends some requests together, so that several share a commit.
    fn ask_at_once(&mut self, storage: &Storage, times: u64) {
        let mut asked = Vec::new();
        for _ in 0..times {
            self.run.made_after.push(self.recording.len());
            let number = self.run.made_after.len() as u64;
            let receiver = submit(storage, number).expect("the queue has space");
            asked.push((number, receiver));
        }
        for (number, receiver) in asked {
            let answer = receive(receiver).expect("an answer");
            let acknowledged = (self.recording.len(), number, answer.body);
            self.run.answers.push(acknowledged);
        }
    }

    /// Sends some requests, one after the other.
    fn ask(&mut self, storage: &Storage, times: u64) {
        for number in 0..times {
            self.ask_at_once(storage, 1);
            if number % 16 == 15 {
                self.copy_index();
            }
        }
    }

    fn copy_index(&mut self) {
        let copy = IndexCopy::of(self.folder.path());
        self.run.indexes.copies.push((self.recording.len(), copy));
    }

    /// Sends requests until the log was copied into the file.
    fn ask_until_copied(&mut self, storage: &Storage) {
        let is_copy = |op: &Op| matches!(op, Op::Write { name, .. } if name.ends_with(FILE));
        let from = self.recording.len();
        let began = Instant::now();
        while !self.recording.ops_after(from).iter().any(is_copy) {
            assert!(
                began.elapsed() < PATIENCE,
                "the log was not copied into the file within {PATIENCE:?}"
            );
            self.ask_at_once(storage, 8);
        }
    }

    /// Lets a copy of the file continue with other records, and returns its index.
    fn other_records(&self) -> IndexCopy {
        let other = folder();
        let file = self.folder.path().join(FILE);
        std::fs::copy(file, other.path().join(FILE)).expect("a copy");
        IndexCopy::of(self.folder.path()).put(other.path());
        let storage = open(other.path()).expect("it opens");
        for number in 10_000..10_040 {
            receive(submit(&storage, number).expect("space")).expect("an answer");
        }
        storage.close();
        IndexCopy::of(other.path())
    }

    fn run(mut self) -> Run {
        let storage = open(self.folder.path()).expect("it opens");
        found(&storage);
        self.ask(&storage, 48);
        storage.note_delivery(&(guild(), name("news")), Some(delivery()));
        self.ask_at_once(&storage, 200);
        self.ask_until_copied(&storage);
        self.ask(&storage, 32);
        storage.close();
        drop(storage);
        self.copy_index();
        self.run.indexes.other = self.other_records();
        let storage = open(self.folder.path()).expect("it opens again");
        self.ask(&storage, 32);
        self.ask_at_once(&storage, 40);
        self.ask(&storage, 16);
        storage.close();
        self.copy_index();
        self.run.ops = self.recording.ops();
        self.run
    }
}

fn delivery() -> Delivery {
    Delivery {
        since: 1,
        done: 2,
        failures: 0,
        last_success: Some(Timestamp(1)),
        last_error: None,
        dead: Vec::new(),
    }
}

/// Returns the one run that all tests examine.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| Runner::new().run())
}

impl Run {
    /// Opens the file that a power cut has left, and checks everything that was acknowledged.
    fn check(&self, disk: &Disk, asked: usize, fate: Fate, seed: u64) -> Result<(), String> {
        let folder = folder();
        disk.cut(fate, folder.path());
        let index = self.indexes.put_some(asked, seed, folder.path());
        let made = self.made_after.iter().filter(|after| **after <= asked);
        let numbers: Vec<u64> = (1..=made.count() as u64).collect();
        let answers = self.answers.iter().filter(|(after, ..)| *after <= asked);
        let answers: Answers = answers
            .map(|(_, number, body)| (*number, body.clone()))
            .collect();
        check_folder(folder.path(), &numbers, &answers)
            .map_err(|what| format!("cut after {asked} with {fate:?} and {index}: {what}"))
    }

    /// Returns at most `most` moments at which the power is cut: before and after each sync and each change of a name,
    /// and some moments between.
    fn moments(&self, most: usize) -> BTreeSet<usize> {
        let boundaries =
            (0..self.ops.len()).filter(|at| !matches!(self.ops[*at], Op::Write { .. }));
        let all: Vec<usize> = boundaries.flat_map(|at| [at, at + 1]).collect();
        let between = (0..self.ops.len()).step_by(7);
        let all: BTreeSet<usize> = all.into_iter().chain(between).collect();
        let step = all.len().div_ceil(most).max(1);
        let last = [self.ops.len()];
        all.into_iter().step_by(step).chain(last).collect()
    }

    /// Cuts the power at some moments. Returns the checks that failed, and the number of cuts.
    fn cut(
        &self,
        moments: &BTreeSet<usize>,
        fates: impl Fn(usize) -> Vec<Fate>,
    ) -> (Vec<String>, usize) {
        let mut wrong = Vec::new();
        let mut looked = 0;
        let mut disk = Disk::with(PathBuf::from(FILE), self.made.clone());
        for asked in 0..=self.ops.len() {
            if moments.contains(&asked) {
                for fate in fates(asked) {
                    looked += 1;
                    wrong.extend(self.check(&disk, asked, fate, looked as u64).err());
                }
            }
            if let Some(op) = self.ops.get(asked) {
                disk.apply(op);
            }
        }
        (wrong, looked)
    }
}

/// Returns the number of moments. The environment can request more of them.
fn moments_wanted() -> usize {
    wanted("BURSAR_POWER_CUTS", 20)
}

#[test]
fn whatever_was_acknowledged_outlives_a_power_cut_at_any_moment() {
    let run = run();
    let syncs = run.ops.iter().filter(|op| matches!(op, Op::Sync { .. }));
    assert!(syncs.count() > 150, "the disk was asked for few syncs");
    let copies = run.indexes.copies.iter();
    assert!(copies.filter(|(_, copy)| !copy.is_empty()).count() > 5);
    assert!(!run.indexes.other.is_empty());
    let moments = run.moments(moments_wanted());
    let (wrong, looked) = run.cut(&moments, |asked| {
        let seed = asked as u64;
        vec![Fate::Lost, Fate::Torn(seed), Fate::Torn(!seed)]
    });
    assert!(looked >= 40, "{looked}");
    assert!(
        wrong.is_empty(),
        "{} of {looked} cuts: {}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The death of a process loses nothing, even without a sync.
#[test]
fn all_that_was_written_is_enough_to_go_on_from_any_moment() {
    let run = run();
    let moments = run.moments(moments_wanted() / 2);
    let (wrong, looked) = run.cut(&moments, |_| vec![Fate::Kept]);
    assert!(looked >= 10, "{looked}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Shows that the test can fail: a file whose writes are not synced, as under `synchronous = OFF`, loses acknowledged
/// requests.
#[test]
fn a_file_that_is_never_synced_loses_what_was_acknowledged() {
    let mut run = run().clone();
    for op in &mut run.ops {
        if let Op::Sync { name } = op {
            // The operation replaces a sync, so that the numbers of all later operations stay the same.
            let name = name.clone();
            let syncs_folder = false;
            *op = Op::Open { name, syncs_folder };
        }
    }
    let moments = run.moments(10);
    let (wrong, looked) = run.cut(&moments, |_| vec![Fate::Lost]);
    assert!(
        wrong.len() * 2 > looked,
        "{} of {looked} cuts lose something",
        wrong.len()
    );
}

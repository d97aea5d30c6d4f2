//! A power cut at any moment: whatever was acknowledged before it is there after it, and what is there
//! passes the audit.
//!
//! The real storage runs on a real file while every write and every sync of SQLite is noted. The notes say
//! what the disk would have had at any point: what was synced, and of the rest anything at all. What a
//! disk keeps in a cache of its own after it has said that a sync is done is beyond this test.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes out of bounds fails, as it should"
)]

mod disk;
mod recorder;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, Digest, EconomyId, IssueRequest,
    POSTINGS_MAX, Posting, Postings, Seed, Timestamp, TransferId, TransferRequest, Verdict,
};
use bursar_storage::{
    ActOutcome, Answer, FileLock, Receiver, RenderedAnswer, Reply, Request, Storage, Submission,
    TimeSource, audit_file,
};
use serde_json::{Value, json};

use disk::{Disk, Fate};
use recorder::{Op, Recording};

const FILE: &str = "guild.db";

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

fn render(recorded: &ActOutcome<'_>) -> RenderedAnswer {
    let status = match recorded.verdict {
        Verdict::Applied(_) | Verdict::Unchanged => 200,
        Verdict::Rejected(_) | Verdict::RejectedWith(..) | Verdict::Declined(_) => 422,
        Verdict::Faulted(_) | Verdict::Broken(_) | Verdict::Stale | Verdict::NoEconomy => 500,
    };
    RenderedAnswer {
        status,
        body: json!({ "seq": recorded.seq }).to_string(),
    }
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn guild() -> EconomyId {
    name("guild")
}

fn open(folder: &Path) -> Result<Storage, String> {
    let path = folder.join(FILE);
    let lock = FileLock::acquire(&path).map_err(|error| format!("the lock: {error}"))?;
    let ticks = AtomicU64::new(1_000);
    let time = TimeSource::even(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)));
    Storage::open(&path, lock, &time, render).map_err(|error| format!("it does not open: {error}"))
}

fn submit(storage: &Storage, key: Option<&str>, body: &Value, act: Act) -> Receiver {
    let submission = Submission {
        economy: guild(),
        actor: "test".into(),
        key: key.map(name),
        request: Request::new("POST", "/test", body),
        act,
        component: None,
    };
    storage.submit(submission).expect("the queue has room")
}

/// The number of the record that an answer stands for.
fn acknowledged(receiver: Receiver) -> u64 {
    let reply = receiver.blocking_recv().expect("an answer");
    let Reply::Answered(Answer { body, .. }) = reply.expect("no failure") else {
        panic!("no answer");
    };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["seq"].as_u64().expect("a number")
}

fn found(storage: &Storage) {
    let coin = AssetPatch {
        kind: Some(AssetKind::Currency),
        name: Some("Coin".into()),
        ..AssetPatch::default()
    };
    let account = |id| Act::SetAccount {
        account: name(id),
        patch: AccountPatch::default(),
        admission: None,
    };
    for act in [
        Act::OpenEconomy {
            seed: Seed::new([7; 32]),
        },
        Act::SetAsset {
            asset: name("coin"),
            patch: coin,
        },
        account("user:1"),
        account("user:2"),
    ] {
        acknowledged(submit(storage, None, &json!({}), act));
    }
    let issue = IssueRequest {
        id: TransferId(uuid::Uuid::nil()),
        account: name("user:1"),
        asset: name("coin"),
        amount: Amount::new(1_000_000).expect("an amount"),
        cap: None,
    };
    let body = json!({ "account": issue.account, "asset": "coin", "amount": issue.amount });
    acknowledged(submit(storage, Some("issue"), &body, Act::Issue(issue)));
}

/// Submits a transfer of so many postings.
fn pay(storage: &Storage, key: &str, postings: usize) -> Receiver {
    let posting = |there: bool| {
        let (source, destination) = if there {
            ("user:1", "user:2")
        } else {
            ("user:2", "user:1")
        };
        Posting {
            source: name(source),
            destination: name(destination),
            asset: name("coin"),
            amount: Amount::new(1).expect("an amount"),
        }
    };
    let postings = (0..postings).map(|number| posting(number % 2 == 0));
    let postings = Postings::new(postings.collect()).expect("postings");
    let body = json!({ "postings": postings });
    let transfer = TransferRequest {
        id: TransferId(uuid::Uuid::nil()),
        postings,
        authority: Authority::Bot,
        cap: None,
    };
    submit(storage, Some(key), &body, Act::Transfer(transfer))
}

/// The operations on the disk, and the requests that were acknowledged by then.
#[derive(Clone)]
struct Run {
    /// The new file, which has its name once it is whole and synced.
    made: (PathBuf, Vec<u8>),
    ops: Vec<Op>,
    /// After so many things were asked, the record with this number was acknowledged.
    acknowledged: Vec<(usize, u64)>,
    hashes: BTreeMap<u64, Digest>,
}

/// A run of the real storage, with all that it does to its file: it commits, copies the log into the file
/// and begins it anew, ends in order and starts again.
struct Runner {
    folder: tempfile::TempDir,
    made: (PathBuf, Vec<u8>),
    recording: Arc<Recording>,
    acknowledged: Vec<(usize, u64)>,
    keys: u64,
}

impl Runner {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path()).expect("it is made").close();
        let root = folder.path().canonicalize().expect("a path");
        let path = root.join(FILE);
        let bytes = std::fs::read(&path).expect("the file");
        let recording = recorder::record(&root);
        Self {
            folder,
            made: (path, bytes),
            recording,
            acknowledged: Vec::new(),
            keys: 0,
        }
    }

    fn acknowledge(&mut self, seq: u64) {
        self.acknowledged.push((self.recording.len(), seq));
    }

    /// Pays some times, one payment after the other.
    fn pay(&mut self, storage: &Storage, times: usize) {
        for _ in 0..times {
            self.pay_at_once(storage, 1, 1);
        }
    }

    /// Pays some times at once, so that several payments share a commit.
    fn pay_at_once(&mut self, storage: &Storage, times: usize, postings: usize) {
        let mut receivers = Vec::new();
        for _ in 0..times {
            self.keys += 1;
            receivers.push(pay(storage, &format!("pay {}", self.keys), postings));
        }
        for receiver in receivers {
            let seq = acknowledged(receiver);
            self.acknowledge(seq);
        }
    }

    /// Goes on until the log was copied into the file.
    fn pay_until_copied(&mut self, storage: &Storage) {
        let is_copy = |op: &Op| matches!(op, Op::Write { path, .. } if path.ends_with(FILE));
        let from = self.recording.len();
        let began = Instant::now();
        while !self.recording.ops()[from..].iter().any(is_copy) {
            assert!(
                began.elapsed() < PATIENCE,
                "the log was not copied into the file within {PATIENCE:?}"
            );
            self.pay_at_once(storage, 8, POSTINGS_MAX);
        }
    }

    fn run(mut self) -> Run {
        let storage = open(self.folder.path()).expect("it opens");
        found(&storage);
        self.pay(&storage, 12);
        self.pay_until_copied(&storage);
        self.pay(&storage, 12);
        storage.close();
        drop(storage);
        let storage = open(self.folder.path()).expect("it opens again");
        self.pay(&storage, 6);
        let last = self.acknowledged.iter().map(|(_, seq)| *seq).max();
        let hash = |seq| Some((seq, storage.record_hash(&guild(), seq).ok()??));
        let hashes = (1..=last.expect("payments")).filter_map(hash).collect();
        storage.close();
        Run {
            made: self.made,
            ops: self.recording.ops(),
            acknowledged: self.acknowledged,
            hashes,
        }
    }
}

/// One run, which all tests look at.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| Runner::new().run())
}

impl Run {
    /// The newest record that was acknowledged when so many things had been asked.
    fn owed(&self, asked: usize) -> u64 {
        let by_then = self.acknowledged.iter().filter(|(ops, _)| *ops <= asked);
        by_then.map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// Opens what a power cut has left, and looks for everything that was acknowledged.
    fn check(&self, disk: &Disk, asked: usize, fate: Fate) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        disk.cut(fate, folder.path());
        let owed = self.owed(asked);
        let storage = open(folder.path())?;
        let state = storage.state();
        let there = state.books(&guild()).map_or(0, |books| books.seq());
        if there < owed {
            return Err(format!(
                "{owed} records were acknowledged, {there} are there"
            ));
        }
        if owed > 0 {
            let hash = storage.record_hash(&guild(), owed).expect("it is read");
            if hash.as_ref() != self.hashes.get(&owed) {
                return Err(format!("record {owed} is another one"));
            }
            // And it goes on.
            acknowledged(pay(&storage, "after the cut", 1));
        }
        storage.close();
        drop(storage);
        let audited = audit_file(&folder.path().join(FILE), &[], render, &mut |_, _| {});
        let report = audited.map_err(|error| format!("it cannot be audited: {error}"))?;
        if report.ok {
            Ok(())
        } else {
            Err(format!("{report:#?}"))
        }
    }

    /// The moments at which the power is cut: before and after each sync and each change of a name, and at
    /// some moments between; all of them if there is no such number.
    fn moments(&self, most: Option<usize>) -> BTreeSet<usize> {
        let boundaries =
            (0..self.ops.len()).filter(|at| !matches!(self.ops[*at], Op::Write { .. }));
        let all: Vec<usize> = boundaries.flat_map(|at| [at, at + 1]).collect();
        let between = (0..self.ops.len()).step_by(37);
        let all: BTreeSet<usize> = all.into_iter().chain(between).collect();
        let step = most.map_or(1, |most| all.len().div_ceil(most).max(1));
        let last = [self.ops.len()];
        all.into_iter().step_by(step).chain(last).collect()
    }

    /// Cuts the power at some moments. What was found wrong, and how often it was looked.
    fn cut(
        &self,
        moments: &BTreeSet<usize>,
        fates: impl Fn(usize) -> Vec<Fate>,
    ) -> (Vec<String>, usize) {
        let mut wrong = Vec::new();
        let mut looked = 0;
        let (path, bytes) = self.made.clone();
        let mut disk = Disk::with(path, bytes);
        for asked in 0..=self.ops.len() {
            if moments.contains(&asked) {
                for fate in fates(asked) {
                    looked += 1;
                    if let Err(what) = self.check(&disk, asked, fate) {
                        wrong.push(format!("cut after {asked} with {fate:?}: {what}"));
                    }
                }
            }
            if let Some(op) = self.ops.get(asked) {
                disk.apply(op);
            }
        }
        (wrong, looked)
    }
}

/// The number of moments, more of them where the environment says so.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn moments_wanted() -> usize {
    let wanted = std::env::var("BURSAR_POWER_CUTS");
    wanted.map_or(60, |wanted| wanted.parse().expect("a number"))
}

#[test]
fn whatever_was_acknowledged_outlives_a_power_cut_at_any_moment() {
    let run = run();
    let syncs = run.ops.iter().filter(|op| matches!(op, Op::Sync { .. }));
    assert!(syncs.count() > 40, "the disk was asked for few syncs");
    let moments = run.moments(Some(moments_wanted()));
    let (wrong, looked) = run.cut(&moments, |asked| {
        let seed = asked as u64;
        vec![Fate::Lost, Fate::Torn(seed), Fate::Torn(!seed)]
    });
    assert!(looked >= 100, "{looked}");
    assert!(
        wrong.is_empty(),
        "{} of {looked} cuts: {}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A process that dies loses nothing at all, whatever was synced.
#[test]
fn all_that_was_written_is_enough_to_go_on_from_any_moment() {
    let run = run();
    let moments = run.moments(Some(moments_wanted() / 2));
    let (wrong, looked) = run.cut(&moments, |_| vec![Fate::Kept]);
    assert!(looked >= 20, "{looked}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Shows that the test sees what it is for: a file whose writes are not waited for, as under
/// `synchronous = OFF`, loses what was acknowledged.
#[test]
fn a_file_that_is_never_synced_loses_what_was_acknowledged() {
    let mut run = run().clone();
    for op in &mut run.ops {
        if let Op::Sync { path } = op {
            // In the place of a sync, so that the moments of acknowledgement stay where they are.
            let path = path.clone();
            let syncs_folder = false;
            *op = Op::Open { path, syncs_folder };
        }
    }
    let moments = run.moments(Some(20));
    let (wrong, looked) = run.cut(&moments, |_| vec![Fate::Lost]);
    assert!(
        wrong.len() * 2 > looked,
        "{} of {looked} cuts lose something",
        wrong.len()
    );
}

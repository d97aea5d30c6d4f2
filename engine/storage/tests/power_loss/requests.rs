//! Requests whose content follows from their numbers, so that a repeated one is equal, and the checks of a file that
//! has received some of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, Digest, EconomyId, IssueRequest,
    POSTINGS_MAX, Posting, Postings, Seed, Timestamp, TransferId, TransferRequest, Verdict,
};
use bursar_storage::{
    ActOutcome, Answer, FileLock, IdempotencyKey, MaintenanceConfig, Receiver, RenderedAnswer,
    Reply, Request, Storage, StorageError, Submission, SubmitError, TimeSource, audit_file,
};
use bytes::Bytes;
use serde_json::json;

pub(crate) const FILE: &str = "guild.db";

/// The longest time for which these tests wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(1);

/// The length of a large request, which gets a frame of its own.
const LARGE: usize = 70_000;

/// The number of postings of a large payment. It is odd, so that the payment moves as much as one posting.
const MANY: usize = POSTINGS_MAX - 1 + POSTINGS_MAX % 2;

pub(crate) fn render(recorded: &ActOutcome<'_>) -> RenderedAnswer {
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

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(crate) fn guild() -> EconomyId {
    name("guild")
}

fn system() -> EconomyId {
    name("system")
}

/// Creates a folder, in memory where that is possible: the disk is modelled, so no real sync is needed.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder")
}

/// Opens the file of a folder with very frequent maintenance.
pub(crate) fn open(folder: &Path) -> Result<Storage, StorageError> {
    open_with(folder, MaintenanceConfig::frequent())
}

/// Opens the file of a folder.
pub(crate) fn open_with(folder: &Path, pace: MaintenanceConfig) -> Result<Storage, StorageError> {
    let path = folder.join(FILE);
    let lock = FileLock::acquire(&path)?;
    let ticks = AtomicU64::new(1_000);
    let time = TimeSource::even(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)));
    Storage::open_with(&path, lock, &time, render, pace)
}

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Pay { postings: usize, text: usize },
    AddComponent,
}

/// Returns the kind of the request with a number.
pub(crate) fn kind(number: u64) -> Kind {
    if number % 29 == 28 {
        return Kind::AddComponent;
    }
    Kind::Pay {
        postings: if number % 31 == 10 { MANY } else { 1 },
        text: if number % 37 == 36 { LARGE } else { 0 },
    }
}

/// Returns the economy and the key of a request.
pub(crate) fn key(number: u64) -> (EconomyId, IdempotencyKey) {
    let economy = match kind(number) {
        Kind::Pay { .. } => guild(),
        Kind::AddComponent => system(),
    };
    (economy, name(&format!("request {number}")))
}

/// Returns the request with a number.
fn submission(number: u64) -> Submission {
    let (economy, key) = key(number);
    let (body, act, component) = match kind(number) {
        Kind::Pay { postings, text } => {
            let transfer = transfer(postings);
            let body = json!({ "postings": transfer.postings, "text": "x".repeat(text) });
            (body, Act::Transfer(transfer), None)
        }
        Kind::AddComponent => {
            let bytes = Bytes::from(format!("component {number}"));
            let act = Act::AddComponent {
                digest: Digest::of(&bytes),
                bytes: bytes.len() as u64,
                name: "shop".into(),
                version: "1.0.0".into(),
            };
            let component = (Digest::of(&bytes), bytes);
            (json!({ "number": number }), act, Some(component))
        }
    };
    Submission {
        economy,
        actor: "test".into(),
        key: Some(key),
        request: Request::new("POST", "/test", &body),
        act,
        component,
    }
}

fn transfer(postings: usize) -> TransferRequest {
    let posting = |number: usize| {
        let (source, destination) = if number.is_multiple_of(2) {
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
    TransferRequest {
        id: TransferId(uuid::Uuid::nil()),
        postings: Postings::new((0..postings).map(posting).collect()).expect("postings"),
        authority: Authority::Bot,
        cap: None,
    }
}

/// Sends a request without waiting for its answer.
pub(crate) fn submit(storage: &Storage, number: u64) -> Result<Receiver, SubmitError> {
    storage.submit(submission(number))
}

/// Waits for an answer.
pub(crate) fn receive(receiver: Receiver) -> Result<Answer, SubmitError> {
    let reply = receiver.blocking_recv().expect("each request is answered");
    match reply? {
        Reply::Answered(answer) => Ok(answer),
        other => panic!("another answer: {other:?}"),
    }
}

/// Sends a request once.
pub(crate) fn ask(storage: &Storage, number: u64) -> Result<Answer, SubmitError> {
    submit(storage, number).and_then(receive)
}

/// Sends a request until it is answered, as a client does. Returns none if the writer has given up.
pub(crate) fn insist(storage: &Storage, number: u64) -> Option<Answer> {
    let began = Instant::now();
    loop {
        if let Ok(answer) = ask(storage, number) {
            return Some(answer);
        }
        if *storage.writer().borrow() != bursar_storage::WriterState::Working {
            return None;
        }
        assert!(began.elapsed() < PATIENCE, "request {number} hangs");
        std::thread::sleep(PAUSE);
    }
}

/// Returns the submissions that open the economies.
pub(crate) fn founding() -> Vec<Submission> {
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
    let opening = |byte| Act::OpenEconomy {
        seed: Seed::new([byte; 32]),
    };
    let issue = IssueRequest {
        id: TransferId(uuid::Uuid::nil()),
        account: name("user:1"),
        asset: name("coin"),
        amount: Amount::new(1_000_000).expect("an amount"),
        cap: None,
    };
    let acts = [
        (system(), opening(8)),
        (guild(), opening(7)),
        (
            guild(),
            Act::SetAsset {
                asset: name("coin"),
                patch: coin,
            },
        ),
        (guild(), account("user:1")),
        (guild(), account("user:2")),
        (guild(), Act::Issue(issue)),
    ];
    let body = json!({ "account": "user:1", "asset": "coin", "amount": 1_000_000 });
    let submission = |(economy, act): (EconomyId, Act)| Submission {
        economy,
        actor: "test".into(),
        key: matches!(act, Act::Issue(_)).then(|| name("issue")),
        request: Request::new("POST", "/test", &body),
        act,
        component: None,
    };
    acts.into_iter().map(submission).collect()
}

/// Opens the economies of a file.
pub(crate) fn found(storage: &Storage) {
    for submission in founding() {
        let began = Instant::now();
        // The writer may still be recovering from a call that has just failed.
        loop {
            let sent = storage.submit(submission.clone());
            if sent.ok().is_some_and(|receiver| receive(receiver).is_ok()) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "the economies are not opened");
            std::thread::sleep(PAUSE);
        }
    }
}

/// The answers that were received, by the numbers of their requests.
pub(crate) type Answers = BTreeMap<u64, Bytes>;

/// Returns the balance of the account that receives the payments.
fn paid(storage: &Storage) -> u64 {
    let state = storage.state();
    let account = state.books(&guild()).and_then(|books| {
        let balance = books.account(&name("user:2"))?.balance(&name("coin"));
        u64::try_from(balance.posted).ok()
    });
    account.unwrap_or_default()
}

fn payments(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers
        .filter(|number| matches!(kind(*number), Kind::Pay { .. }))
        .count() as u64
}

/// Checks that each answer is replayed, that each request was applied once or not at all, and that further requests
/// succeed. `numbers` are all requests that may have been sent, in order.
pub(crate) fn check(storage: &Storage, numbers: &[u64], answers: &Answers) -> Result<(), String> {
    let mut there = Vec::new();
    for number in numbers {
        let (economy, key) = key(*number);
        let stored = storage.stored(&economy, &key);
        let stored = stored.map_err(|error| format!("request {number} is not read: {error}"))?;
        let acknowledged = answers.get(number);
        match (stored, acknowledged) {
            (Some(stored), Some(body)) if stored.body != body => {
                return Err(format!("request {number} has another answer"));
            }
            (None, Some(_)) => {
                return Err(format!("request {number} was acknowledged and is lost"));
            }
            (Some(_), _) => there.push(*number),
            (None, None) => {}
        }
    }
    let count = payments(there.iter().copied());
    let moved = paid(storage);
    if count != moved {
        return Err(format!("{count} payments are there, and {moved} was paid"));
    }
    if paid(storage) == 0 && answers.is_empty() {
        return Ok(());
    }
    let asked: Result<Vec<_>, _> = numbers
        .iter()
        .map(|number| submit(storage, *number))
        .collect();
    let asked = asked.map_err(|error| format!("no request is taken: {error}"))?;
    for (number, receiver) in numbers.iter().zip(asked) {
        let answer = receive(receiver).map_err(|error| format!("request {number}: {error}"))?;
        if answer.replayed != there.contains(number) {
            return Err(format!("request {number} is replayed: {}", answer.replayed));
        }
        if answers.get(number).is_some_and(|body| *body != answer.body) {
            return Err(format!("request {number} gets another answer"));
        }
    }
    let count = payments(numbers.iter().copied());
    let moved = paid(storage);
    if count != moved {
        return Err(format!("{count} payments were made, and {moved} was paid"));
    }
    Ok(())
}

/// Opens the file of a folder, checks it as [`check`] does, and audits it.
pub(crate) fn check_folder(
    folder: &Path,
    numbers: &[u64],
    answers: &Answers,
) -> Result<(), String> {
    let storage = open(folder).map_err(|error| format!("it does not open: {error}"))?;
    let checked = check(&storage, numbers, answers);
    let closed = storage.close();
    drop(storage);
    checked?;
    if !closed {
        return Err("the writer gave up".into());
    }
    audit(folder)
}

/// Audits the file of a folder.
pub(crate) fn audit(folder: &Path) -> Result<(), String> {
    let audited = audit_file(&folder.join(FILE), &[], render, &mut |_, _| {});
    let report = audited.map_err(|error| format!("it cannot be audited: {error}"))?;
    let broken = report.promises.into_iter().filter(|promise| !promise.ok);
    let broken: Vec<_> = broken.collect();
    if report.ok && broken.is_empty() {
        Ok(())
    } else {
        Err(format!("the audit finds {broken:?}"))
    }
}

/// Returns a number from the environment, or the default of an ordinary run.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
pub(crate) fn wanted(variable: &str, ordinary: usize) -> usize {
    let wanted = std::env::var(variable);
    wanted.map_or(ordinary, |wanted| wanted.parse().expect("a number"))
}

//! Tests of the writer on real files: exactly once, durable, rebuilt after a failure, and checked by the audit.

mod answers;
mod archives;
mod audited;
mod audits;
mod backups;
mod bounds;
mod checkpoints;
mod commits;
mod copies;
mod damaged_index;
mod failures;
mod files;
mod frames;
mod heads;
mod large_requests;
mod listing;
mod logs;
mod news;
mod notes;
mod past;
mod portions;
mod restored;
mod revisions;
mod rich;
mod tables;
mod tampered;
mod time;
mod verifier;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, ComponentChoice, Digest,
    EconomyId, Grants, IssueRequest, Posting, Postings, Seed, Timestamp, TransferId,
    TransferRequest, Verdict,
};
use serde_json::json;

use crate::database::{Database, integer};
use crate::log::compressor::FrameCompressor;
use crate::log::frame::FrameBuilder;
use crate::log::reader::each_frame;
use crate::record::{ChainLink, Record};
use crate::*;

fn render(recorded: &ActOutcome<'_>) -> RenderedAnswer {
    let status = match recorded.verdict {
        Verdict::Applied(_) => 201,
        Verdict::Unchanged => 200,
        Verdict::Rejected(_) | Verdict::RejectedWith(..) | Verdict::Declined(_) => 422,
        Verdict::Faulted(_) => 502,
        Verdict::Broken(_) => 503,
        Verdict::Stale | Verdict::NoEconomy => 500,
    };
    RenderedAnswer {
        status,
        body: json!({ "seq": recorded.seq }).to_string(),
    }
}

fn time() -> TimeSource {
    let ticks = AtomicU64::new(1_000);
    TimeSource::even(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)))
}

fn open(path: &Path) -> Storage {
    let lock = FileLock::acquire(path).expect("the lock");
    Storage::open(path, lock, &time(), render).expect("the file opens")
}

/// Returns a component with these bytes and the id of a plugin. It requests no permissions.
fn component(bytes: &[u8], id: &str) -> ComponentChoice {
    ComponentChoice {
        digest: Digest::of(bytes),
        id: name(id),
        name_is_fixed: false,
        requested: Grants::default(),
        accounts: Vec::new(),
        holds: [].into(),
        schedules: [].into(),
    }
}

/// Opens a file with the guild of [`found`]. The file is deleted with its folder.
fn open_guild() -> (tempfile::TempDir, PathBuf, Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    (folder, path, storage)
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a name")
}

fn guild() -> EconomyId {
    name("guild")
}

fn submission(key: Option<&str>, act: Act) -> Submission {
    submission_at("/test", key, act)
}

fn submission_at(path: &str, key: Option<&str>, act: Act) -> Submission {
    let body = match &act {
        Act::Transfer(transfer) => json!({ "postings": transfer.postings }),
        Act::Issue(asked) | Act::Burn(asked) => {
            json!({ "account": asked.account, "asset": asked.asset, "amount": asked.amount })
        }
        Act::Batch(batch) => {
            let transfers = batch.transfers.as_slice().iter();
            let transfers = transfers.map(|each| json!({ "postings": each.postings }));
            json!({ "mode": "atomic", "transfers": transfers.collect::<Vec<_>>() })
        }
        Act::PlaceHold(hold) => {
            let posting = hold.reservation.posting();
            json!({
                "from": posting.source, "to": posting.destination, "asset": posting.asset,
                "amount": posting.amount, "expires_in_s": hold.expires_in_s,
            })
        }
        Act::CaptureHold(capture) => json!({ "amount": capture.amount }),
        Act::ReleaseHold { .. } | Act::Reverse(_) => json!({}),
        Act::Call(call) => {
            let asked = &call.request;
            json!({
                "caller": asked.caller,
                "arguments": asked.arguments,
                "spend_limit": asked.spend_limit,
            })
        }
        _ => serde_json::to_value(&act).expect("json"),
    };
    Submission {
        economy: guild(),
        actor: "test".into(),
        key: key.map(name),
        request: Request::new("POST", path, &body),
        act,
        component: None,
    }
}

fn ask(storage: &Storage, key: Option<&str>, act: Act) -> Reply {
    let receiver = storage
        .submit(submission(key, act))
        .expect("the queue has room");
    receiver
        .blocking_recv()
        .expect("an answer")
        .expect("no failure")
}

fn answered(reply: Reply) -> Answer {
    match reply {
        Reply::Answered(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

fn transfer(from: &str, to: &str, amount: u64) -> Act {
    let amount = Amount::new(amount).expect("an amount");
    let posting = Posting {
        source: name(from),
        destination: name(to),
        asset: name("coin"),
        amount,
    };
    Act::Transfer(TransferRequest {
        id: TransferId(uuid::Uuid::default()),
        postings: Postings::new(vec![posting]).expect("postings"),
        authority: Authority::Bot,
        cap: None,
    })
}

fn coins(account: &str, amount: u64) -> IssueRequest {
    IssueRequest {
        id: TransferId(uuid::Uuid::default()),
        account: name(account),
        asset: name("coin"),
        amount: Amount::new(amount).expect("an amount"),
        cap: None,
    }
}

fn issue(to: &str, amount: u64) -> Act {
    Act::Issue(coins(to, amount))
}

fn founding() -> Vec<Act> {
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
    vec![
        Act::OpenEconomy {
            seed: Seed::new([7; 32]),
        },
        Act::SetAsset {
            asset: name("coin"),
            patch: coin,
        },
        account("user:1"),
        account("user:2"),
    ]
}

fn found(storage: &Storage) {
    for act in founding() {
        answered(ask(storage, None, act));
    }
    answered(ask(storage, Some("issue-1"), issue("user:1", 100)));
}

fn posted(state: &State, account: &str) -> i64 {
    let books = state.books(&guild()).expect("the economy");
    books
        .account(&name(account))
        .expect("the account")
        .balance(&name("coin"))
        .posted
}

fn all_promises_hold(path: &Path) -> AuditReport {
    let report = audit_file(path, &[], render, &mut |_, _| {}).expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    report
}

/// Creates a closed file with an economy.
fn founded(path: &Path) {
    let storage = open(path);
    found(&storage);
    storage.close();
}

/// Changes a file without the storage.
fn vandalise(path: &Path, sql: &str) {
    let vandal = Database::open_writer(path).expect("a database");
    vandal.batch(sql).expect("the statements are right");
}

/// Returns the records of a file, each with its place in its chain.
fn chained(path: &Path) -> Vec<(Record, ChainLink)> {
    let database = Database::open_reader(path).expect("the file");
    let mut records = Vec::new();
    let read = each_frame(&database, 0, |frame| {
        let mut reader = frame.reader();
        while let Some(read) = reader.next()? {
            records.push(read);
        }
        Ok(true)
    });
    read.expect("the log is read");
    records
}

/// Returns the records of a file.
fn records(path: &Path) -> Vec<Record> {
    chained(path)
        .into_iter()
        .map(|(record, _)| record)
        .collect()
}

/// Returns the number of records of a kind.
fn recorded(path: &Path, kind: &str) -> usize {
    let records = records(path);
    records.iter().filter(|record| record.kind == kind).count()
}

/// Alters records of the file and writes their frames again, so that all checksums fit and only the chain shows the
/// change.
fn alter_records(path: &Path, mut alter: impl FnMut(&mut Record)) {
    let database = Database::open_writer(path).expect("the file");
    let mut compressor = FrameCompressor::new().expect("a compressor");
    let mut altered = Vec::new();
    let mut head = Digest::ZERO;
    let read = each_frame(&database, 0, |frame| {
        let mut builder: Option<FrameBuilder> = None;
        let mut reader = frame.reader();
        while let Some((mut record, link)) = reader.next()? {
            alter(&mut record);
            match &mut builder {
                Some(builder) => builder.add(&record, &link),
                None => builder = Some(FrameBuilder::begin(frame.batch, &record, &link, false)),
            }
        }
        let builder = builder.expect("a frame has records");
        let row = builder.finish(frame.batch, &head, &mut compressor)?;
        head = frame.head;
        altered.push(row);
        Ok(true)
    });
    read.expect("the log is read");
    database
        .batch("DROP TRIGGER frames_stay_as_written")
        .expect("the guard is gone");
    let mut update = database
        .prepare("UPDATE frames SET bytes = ?2 WHERE id = ?1")
        .expect("sql");
    for row in altered {
        let bytes = libsql::Value::Blob(row.bytes);
        let written = update.run(vec![integer(row.first_record), bytes]);
        written.expect("a frame is written");
    }
    database.batch(GUARD).expect("the guard is back");
}

/// The trigger that [`alter_records`] removes for a short time.
const GUARD: &str = "CREATE TRIGGER frames_stay_as_written BEFORE UPDATE ON frames
BEGIN SELECT RAISE(ABORT, 'the log is never updated'); END";

/// Removes the newest frame and everything that would show its absence.
const CUT: &str = "DROP TRIGGER frames_stay;
    DELETE FROM checkpoints; DELETE FROM checkpoint_pieces;
    DELETE FROM frames WHERE id = (SELECT max(id) FROM frames);
    CREATE TRIGGER frames_stay BEFORE DELETE ON frames
BEGIN SELECT RAISE(ABORT, 'the log is never deleted'); END;";

fn count(path: &Path, sql: &str) -> i64 {
    let database = Database::open_reader(path).expect("the file");
    database.number(sql).expect("a number")
}

/// Returns the numbers of the promises for which an audit has findings.
fn broken(path: &Path) -> Vec<u8> {
    let report = audit_file(path, &[], render, &mut |_, _| {}).expect("the audit runs");
    let broken = report.promises.iter().filter(|promise| !promise.ok);
    broken.map(|promise| promise.number).collect()
}

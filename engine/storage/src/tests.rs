//! The writer on real files: exactly once, durable, rebuilt after a failure, explained by the audit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, EconomyId, IssueRequest, Item,
    Posting, Postings, Seed, Timestamp, TransferId, TransferRequest, Verdict,
};
use serde_json::json;

use crate::database::Database;
use crate::error::StorageError;
use crate::journal::{Appended, FileJournal, Journal};
use crate::writer::{Shared, Writer};
use crate::*;

fn render(recorded: &Recorded<'_>) -> Rendered {
    let status = match recorded.verdict {
        Verdict::Applied(_) => 201,
        Verdict::Unchanged => 200,
        Verdict::Rejected(_) | Verdict::Declined => 422,
        Verdict::Faulted => 502,
        Verdict::Stale | Verdict::NoEconomy => 500,
    };
    Rendered {
        status,
        body: json!({ "seq": recorded.seq }).to_string(),
    }
}

fn clock() -> Clock {
    let ticks = AtomicU64::new(1_000);
    Arc::new(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)))
}

fn open(path: &Path) -> Storage {
    let lock = FileLock::acquire(path).expect("the lock");
    Storage::open(path, lock, clock(), render).expect("the file opens")
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
    let body = match &act {
        Act::Transfer(transfer) => json!({ "postings": transfer.postings }),
        _ => serde_json::to_value(&act).expect("json"),
    };
    Submission {
        economy: guild(),
        actor: "test".into(),
        key: key.map(name),
        request: Request::new("POST", "/test", &body),
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
    })
}

fn issue(to: &str, amount: u64) -> Act {
    Act::Issue(IssueRequest {
        id: TransferId(uuid::Uuid::default()),
        account: name(to),
        asset: name("coin"),
        amount: Amount::new(amount).expect("an amount"),
    })
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
    let report = audit_file(path, render, &mut |_, _| {}).expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    report
}

#[test]
fn an_answer_is_given_once_and_replayed_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    let first = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert!(!first.replayed);
    let again = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert_eq!(
        again,
        Answer {
            replayed: true,
            ..first.clone()
        }
    );
    assert!(storage.close());
    drop(storage);

    let storage = open(&path);
    let later = answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    assert_eq!(
        later,
        Answer {
            replayed: true,
            ..first
        }
    );
    assert_eq!(posted(&storage.state(), "user:2"), 30);
    let other = ask(&storage, Some("k"), transfer("user:1", "user:2", 31));
    assert!(matches!(other, Reply::KeyReused { field } if field.starts_with('/')));
    storage.close();
    drop(storage);
    all_promises_hold(&path);
}

#[test]
fn a_refusal_is_kept_and_disturbs_no_neighbour() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    let asked: Vec<_> = [("a", 60), ("b", 60), ("c", 40)]
        .into_iter()
        .map(|(key, amount)| {
            storage.submit(submission(Some(key), transfer("user:1", "user:2", amount)))
        })
        .map(|receiver| receiver.expect("room"))
        .collect();
    let statuses: Vec<u16> = asked
        .into_iter()
        .map(|receiver| {
            receiver
                .blocking_recv()
                .expect("an answer")
                .expect("no failure")
        })
        .map(|reply| answered(reply).status)
        .collect();
    assert_eq!(statuses, [201, 422, 201]);
    answered(ask(&storage, Some("d"), issue("user:1", 1000)));
    let refused = answered(ask(&storage, Some("b"), transfer("user:1", "user:2", 60)));
    assert_eq!((refused.status, refused.replayed), (422, true));
    storage.close();
    drop(storage);
    assert_eq!(all_promises_hold(&path).movements, 4);
}

#[test]
fn a_second_process_is_told_who_owns_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    let owner = Owner {
        pid: 42,
        socket: folder.path().join("s.sock"),
        token: "secret".into(),
    };
    storage.announce(&owner).expect("the note is written");
    let Err(StorageError::Busy {
        pid, owner: told, ..
    }) = FileLock::acquire(&path)
    else {
        panic!("the lock was given twice");
    };
    assert_eq!((pid, told), (42, Some(Box::new(owner))));
    storage.close();
    FileLock::acquire(&path).expect("a file that is closed is free");
}

#[test]
fn whoever_is_just_opening_or_closing_a_file_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    // Without a note nobody can be asked.
    let held = FileLock::acquire(&path).expect("the lock");
    let pause = std::time::Duration::from_millis(50);
    let holder = std::thread::spawn(move || {
        std::thread::sleep(pause);
        drop(held);
    });
    FileLock::acquire(&path).expect("the lock, after a wait");
    holder.join().expect("it ends");
}

#[test]
fn another_programs_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    let other = Database::open_writer(&path).expect("a database");
    other.batch("CREATE TABLE precious (x)").expect("a table");
    drop(other);
    assert!(matches!(
        FileJournal::open(&path, Timestamp(1)),
        Err(StorageError::Foreign(0))
    ));
}

#[test]
fn a_later_versions_file_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    drop(FileJournal::open(&path, Timestamp(1)).expect("a new file"));
    let later = Database::open_writer(&path).expect("a database");
    later.batch("PRAGMA user_version = 99").expect("a pragma");
    drop(later);
    let error = FileJournal::open(&path, Timestamp(1))
        .err()
        .expect("too new");
    assert!(matches!(error, StorageError::TooNew { found: 99, .. }));
}

#[test]
fn a_start_from_a_checkpoint_and_from_the_first_record_are_equal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    for round in 0..3 {
        // Each close leaves a checkpoint; each open starts from it and adds a tail.
        let storage = open(&path);
        if round == 0 {
            found(&storage);
        }
        for n in 0..5 {
            let key = format!("{round}-{n}");
            answered(ask(&storage, Some(&key), transfer("user:1", "user:2", 1)));
        }
        storage.close();
    }
    let report = all_promises_hold(&path);
    assert!(
        report
            .promises
            .iter()
            .any(|promise| promise.checked.contains("checkpoint at record"))
    );
    let mut journal = FileJournal::open(&path, Timestamp(1)).expect("the file");
    let from_checkpoint = journal.load().expect("a state");
    let database = Database::open_writer(&path).expect("the file");
    database
        .batch("DELETE FROM checkpoint_pieces; DELETE FROM checkpoints")
        .expect("deleted");
    assert_eq!(journal.load().expect("a state"), from_checkpoint);
}

#[test]
fn a_start_and_a_stop_without_work_write_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    storage.close();
    drop(storage);
    let checkpoints = || {
        let database = Database::open_reader(&path).expect("the file");
        database
            .number("SELECT count(*) FROM checkpoints")
            .expect("a number")
    };
    assert_eq!(checkpoints(), 1);
    open(&path).close();
    assert_eq!(checkpoints(), 1);
}

#[test]
fn only_its_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        let mode = std::fs::metadata(file)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    storage.close();
}

#[test]
fn a_key_that_leads_nowhere_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    storage.close();
    drop(storage);
    let vandal = Database::open_writer(&path).expect("a database");
    vandal
        .batch("INSERT INTO keys (economy, key, record) VALUES ('guild', 'planted', 2)")
        .expect("a row");
    drop(vandal);
    let report = audit_file(&path, render, &mut |_, _| {}).expect("the audit runs");
    let broken: Vec<u8> = report
        .promises
        .iter()
        .filter(|promise| !promise.ok)
        .map(|promise| promise.number)
        .collect();
    assert_eq!(broken, [3]);
}

#[test]
fn an_unclosed_checkpoint_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    let expected = storage.state();
    storage.close();
    drop(storage);
    let mut journal = FileJournal::open(&path, Timestamp(1)).expect("the file");
    let id = journal.begin_checkpoint(&State::default()).expect("begun");
    let pieces: Vec<(EconomyId, Item)> = expected.as_ref().clone().into_pieces().take(2).collect();
    journal.add_pieces(id, 0, &pieces).expect("added");
    assert_eq!(journal.load().expect("a state"), *expected);
}

#[test]
fn an_altered_journal_is_found_and_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    storage.close();
    drop(storage);
    let vandal = Database::open_writer(&path).expect("a database");
    assert!(
        vandal
            .batch("UPDATE movements SET amount = 3 WHERE id = 2")
            .is_err()
    );
    vandal
        .batch(
            "DROP TRIGGER movements_stay_as_written;
             UPDATE movements SET amount = 3 WHERE id = 2;
             DELETE FROM checkpoints;",
        )
        .expect("without the trigger it goes through");
    drop(vandal);
    let lock = FileLock::acquire(&path).expect("the lock");
    let opened = Storage::open(&path, lock, clock(), render);
    assert!(matches!(
        opened.err(),
        Some(StorageError::Damaged { record: 6, .. })
    ));
}

/// A journal on a real file whose commits fail when told to.
struct Failing {
    file: FileJournal,
    fails_at: Arc<AtomicU64>,
    /// Whether the batch reaches the disk before the failure shows.
    after_commit: bool,
}

impl Journal for Failing {
    fn load(&mut self) -> Result<State, StorageError> {
        self.file.load()
    }
    fn checkpointed(&self) -> Result<u64, StorageError> {
        self.file.checkpointed()
    }
    fn epoch(&self) -> u64 {
        self.file.epoch()
    }
    fn find(&mut self, economy: &EconomyId, key: &str) -> Result<Option<Stored>, StorageError> {
        self.file.find(economy, key)
    }
    fn append(&mut self, batch: &[Appended]) -> Result<(), StorageError> {
        let fails = self.fails_at.fetch_sub(1, Ordering::SeqCst) == 1;
        if !fails || self.after_commit {
            self.file.append(batch)?;
        }
        if fails {
            Err(StorageError::damaged(0, "the disk said no"))
        } else {
            Ok(())
        }
    }
    fn begin_checkpoint(&mut self, state: &State) -> Result<u64, StorageError> {
        self.file.begin_checkpoint(state)
    }
    fn add_pieces(
        &mut self,
        checkpoint: u64,
        first: u64,
        pieces: &[(EconomyId, Item)],
    ) -> Result<(), StorageError> {
        self.file.add_pieces(checkpoint, first, pieces)
    }
    fn close_checkpoint(&mut self, checkpoint: u64, pieces: u64) -> Result<(), StorageError> {
        self.file.close_checkpoint(checkpoint, pieces)
    }
    fn remove_old_pieces(&mut self) -> Result<bool, StorageError> {
        self.file.remove_old_pieces()
    }
    fn tidy(&mut self) -> Result<(), StorageError> {
        self.file.tidy()
    }
}

/// Sends one request whose commit fails, then the same again; says how both ended.
fn commit_that_fails(after_commit: bool) -> (Result<Reply, Failure>, Answer, i64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    storage.close();
    drop(storage);

    let fails_at = Arc::new(AtomicU64::new(2));
    let open = {
        let (path, fails_at) = (path.clone(), Arc::clone(&fails_at));
        move || {
            let file = FileJournal::open(&path, Timestamp(1))?;
            Ok(Failing {
                file,
                fails_at: Arc::clone(&fails_at),
                after_commit,
            })
        }
    };
    let mut journal = open().expect("the file");
    let state = journal.load().expect("a state");
    let shared = Arc::new(Shared {
        queue: crate::queue::Queue::new(),
        published: arc_swap::ArcSwap::from_pointee(state.clone()),
    });
    let writer = Writer::new(
        Arc::clone(&shared),
        journal,
        Box::new(open),
        state,
        clock(),
        render,
    )
    .expect("a writer");
    let thread = std::thread::spawn(move || writer.run());
    let send = |key: &str| {
        loop {
            let (respond, receiver) = oneshot::channel();
            let submission = submission(Some(key), transfer("user:1", "user:2", 10));
            let job = Job {
                submission,
                respond,
            };
            match shared.queue.push(&guild(), job) {
                Ok(()) => return receiver.blocking_recv().expect("an answer"),
                // The gate is shut while the state is rebuilt.
                Err(Failure::Unavailable) => std::thread::yield_now(),
                Err(failure) => panic!("{failure}"),
            }
        }
    };
    send("first").expect("the first commit works");
    let failed = send("second");
    let before_retry = posted(&shared.published.load(), "user:2");
    assert!(before_retry == 10 || before_retry == 20);
    let again = loop {
        match send("second") {
            Ok(reply) => break answered(reply),
            Err(Failure::Unavailable) => std::thread::yield_now(),
            Err(failure) => panic!("{failure}"),
        }
    };
    let after = posted(&shared.published.load(), "user:2");
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
    (failed, again, after)
}

#[test]
fn a_failed_commit_publishes_nothing_and_can_be_asked_again() {
    let (failed, again, after) = commit_that_fails(false);
    assert_eq!(failed, Err(Failure::Unknown));
    assert_eq!((again.status, again.replayed, after), (201, false, 20));
}

#[test]
fn a_commit_whose_result_was_lost_is_found_again_under_its_key() {
    let (failed, again, after) = commit_that_fails(true);
    assert_eq!(failed, Err(Failure::Unknown));
    assert_eq!((again.status, again.replayed, after), (201, true, 20));
}

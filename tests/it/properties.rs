//! Random histories on a real file. Under any interleaving each key has one answer, and the balances follow from the
//! applied transfers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, IssueRequest, Posting, Postings,
    Seed, TransferId, TransferRequest,
};
use bursar_server::clock;
use bursar_server::http::render;
use bursar_storage::{Answer, FileLock, Reply, Request, Storage, Submission};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::long_runs;
use crate::support::assert_audit_passes;

/// Accounts of a history; each begins with [`STARTING_BALANCE`].
const MEMBERS: usize = 4;
const STARTING_BALANCE: i64 = 100;
/// Threads that submit at the same time.
const THREADS: usize = 4;

/// A request. A history can repeat its key, with the same request or another.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Payment {
    key: u64,
    from: usize,
    to: usize,
    amount: u64,
}

fn requests() -> impl Strategy<Value = Vec<Payment>> {
    let submit =
        (0..30_u64, 0..MEMBERS, 1..MEMBERS, 1..80_u64).prop_map(|(key, from, step, amount)| {
            Payment {
                key,
                from,
                to: (from + step) % MEMBERS,
                amount,
            }
        });
    // Earlier requests are often repeated exactly, as by a client that lost the response.
    prop::collection::vec((submit, any::<prop::sample::Index>(), any::<bool>()), 1..60).prop_map(
        |requests| {
            let mut history: Vec<Payment> = Vec::new();
            for (submit, earlier, again) in requests {
                let repeated = (again && !history.is_empty()).then(|| *earlier.get(&history));
                history.push(repeated.unwrap_or(submit));
            }
            history
        },
    )
}

fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().unwrap()
}

fn submission(key: Option<String>, body: &Value, act: Act) -> Submission {
    Submission {
        economy: name("guild"),
        actor: "test".into(),
        key: key.map(|key| name(&key)),
        request: Request::new("POST", "/v1/economies/guild/transfers", body),
        act,
        component: None,
    }
}

impl Payment {
    fn submission(self) -> Submission {
        let posting = Posting {
            source: name(&format!("user:{}", self.from)),
            destination: name(&format!("user:{}", self.to)),
            asset: name("coin"),
            amount: Amount::new(self.amount).unwrap(),
        };
        let postings = Postings::new(vec![posting]).unwrap();
        let body = json!({ "postings": postings });
        let id = TransferId(Uuid::now_v7());
        let request = TransferRequest {
            id,
            postings,
            authority: Authority::Bot,
            cap: None,
        };
        submission(
            Some(format!("key {}", self.key)),
            &body,
            Act::Transfer(request),
        )
    }
}

fn open(path: &Path) -> Storage {
    let lock = FileLock::acquire(path).unwrap();
    Storage::open(path, lock, &clock::system(), render).unwrap()
}

fn submit(storage: &Storage, submission: Submission) -> Reply {
    storage
        .submit(submission)
        .unwrap()
        .blocking_recv()
        .unwrap()
        .unwrap()
}

fn create_economy(storage: &Storage) {
    let coin = AssetPatch {
        kind: Some(AssetKind::Currency),
        name: Some("Coin".into()),
        ..AssetPatch::default()
    };
    let mut acts = vec![
        Act::OpenEconomy {
            seed: Seed::new([1; 32]),
        },
        Act::SetAsset {
            asset: name("coin"),
            patch: coin,
        },
    ];
    for member in 0..MEMBERS {
        let account = name(&format!("user:{member}"));
        acts.push(Act::SetAccount {
            account,
            patch: AccountPatch::default(),
            admission: None,
        });
        acts.push(Act::Issue(IssueRequest {
            id: TransferId(Uuid::now_v7()),
            account: name(&format!("user:{member}")),
            asset: name("coin"),
            amount: Amount::new(STARTING_BALANCE.unsigned_abs()).unwrap(),
            cap: None,
        }));
    }
    for act in acts {
        submit(storage, submission(None, &Value::Null, act));
    }
}

/// Submits all requests from several threads and returns every reply.
fn submit_concurrently(storage: &Storage, history: &[Payment]) -> Vec<(Payment, Reply)> {
    std::thread::scope(|scope| {
        let share = |thread: usize| history.iter().skip(thread).step_by(THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let submit_one =
                    |request: &Payment| (*request, submit(storage, request.submission()));
                scope.spawn(move || share(thread).map(submit_one).collect::<Vec<_>>())
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn balances(storage: &Storage) -> Vec<i64> {
    let state = storage.state();
    let books = state.books(&name("guild")).unwrap();
    let posted = |member| {
        let account = books.account(&name(&format!("user:{member}"))).unwrap();
        account.balance(&name("coin")).posted
    };
    (0..MEMBERS).map(posted).collect()
}

/// Computes the expected balances from the first responses in the order of their records.
fn expected_balances(firsts: &BTreeMap<u64, (Payment, Answer)>) -> Vec<i64> {
    let mut balances = vec![STARTING_BALANCE; MEMBERS];
    let seq =
        |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).unwrap()["seq"].as_u64();
    let mut applied: Vec<_> = firsts
        .values()
        .filter(|(_, answer)| answer.status == 201)
        .map(|(request, answer)| (seq(answer).unwrap(), *request))
        .collect();
    applied.sort_by_key(|(seq, _)| *seq);
    for (
        _,
        Payment {
            from, to, amount, ..
        },
    ) in applied
    {
        let amount = i64::try_from(amount).unwrap();
        assert!(balances[from] >= amount, "an applied transfer was covered");
        balances[from] -= amount;
        balances[to] += amount;
    }
    balances
}

/// Counts of reply kinds over all histories.
#[derive(Default, Debug)]
struct ReplyCounts {
    applied: u32,
    refused: u32,
    replayed: u32,
    reused: u32,
}

impl ReplyCounts {
    fn count(&mut self, replies: &[(Payment, Reply)]) {
        for (_, reply) in replies {
            match reply {
                Reply::Answered(Answer { replayed: true, .. }) => self.replayed += 1,
                Reply::Answered(answer) if answer.status == 201 => self.applied += 1,
                Reply::Answered(_) => self.refused += 1,
                Reply::KeyReused => self.reused += 1,
                Reply::Stale | Reply::NoEconomy => {}
            }
        }
    }
}

#[test]
fn every_interleaving_gives_each_key_one_answer() {
    let cases = ProptestConfig::default().cases / 8;
    let counts = RefCell::new(ReplyCounts::default());
    let ran = long_runs::runner(1, cases).run(&requests(), |history| {
        let replies = check_history(&history)?;
        counts.borrow_mut().count(&replies);
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    let counts = counts.into_inner();
    let all = [
        counts.applied,
        counts.refused,
        counts.replayed,
        counts.reused,
    ];
    assert!(
        all.into_iter().all(|times| times > cases),
        "{counts:?} in {cases} histories"
    );
}

/// Runs a history and returns the replies to its first submission.
fn check_history(history: &[Payment]) -> Result<Vec<(Payment, Reply)>, TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    create_economy(&storage);
    let replies = submit_concurrently(&storage, history);

    let mut firsts: BTreeMap<u64, (Payment, Answer)> = BTreeMap::new();
    for (request, reply) in &replies {
        if let Reply::Answered(answer) = reply
            && !answer.replayed
        {
            let before = firsts.insert(request.key, (*request, answer.clone()));
            prop_assert!(before.is_none(), "key {} ran twice", request.key);
        }
    }
    for (request, reply) in &replies {
        let (first, answer) = &firsts[&request.key];
        match reply {
            Reply::Answered(again) => {
                prop_assert_eq!(first, request, "a reused key was refused");
                prop_assert_eq!((again.status, &again.body), (answer.status, &answer.body));
            }
            Reply::KeyReused => prop_assert_ne!(first, request),
            Reply::Stale | Reply::NoEconomy => prop_assert!(false, "{:?}", reply),
        }
    }
    prop_assert_eq!(balances(&storage), expected_balances(&firsts));

    // Repeating the history in reverse order changes nothing, and neither does a restart.
    let state = storage.state();
    let backwards: Vec<Payment> = history.iter().rev().copied().collect();
    for (_, reply) in submit_concurrently(&storage, &backwards) {
        let replayed = matches!(reply, Reply::Answered(Answer { replayed: true, .. }));
        prop_assert!(replayed || matches!(reply, Reply::KeyReused), "{:?}", reply);
    }
    prop_assert_eq!(&*storage.state(), &*state);
    prop_assert!(storage.close());
    drop(storage);
    let storage = open(&path);
    prop_assert_eq!(&*storage.state(), &*state);
    storage.close();
    drop(storage);
    assert_audit_passes(&path);
    Ok(replies)
}

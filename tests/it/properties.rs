//! Random histories on a real file: exactly once, conserved and explained under any interleaving.

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

use crate::long;
use crate::support::audited;

/// Accounts of a history; each begins with [`PURSE`].
const MEMBERS: usize = 4;
const PURSE: i64 = 100;
/// Threads that ask at the same time.
const THREADS: usize = 4;

/// One thing that somebody asks; the same key may come again, with the same request or another.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Ask {
    key: u64,
    from: usize,
    to: usize,
    amount: u64,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask =
        (0..30_u64, 0..MEMBERS, 1..MEMBERS, 1..80_u64).prop_map(|(key, from, step, amount)| Ask {
            key,
            from,
            to: (from + step) % MEMBERS,
            amount,
        });
    // Often again exactly what was asked before, as a client does that has lost the answer.
    prop::collection::vec((ask, any::<prop::sample::Index>(), any::<bool>()), 1..60).prop_map(
        |asks| {
            let mut history: Vec<Ask> = Vec::new();
            for (ask, earlier, again) in asks {
                let repeated = (again && !history.is_empty()).then(|| *earlier.get(&history));
                history.push(repeated.unwrap_or(ask));
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

impl Ask {
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

fn ask(storage: &Storage, submission: Submission) -> Reply {
    storage
        .submit(submission)
        .unwrap()
        .blocking_recv()
        .unwrap()
        .unwrap()
}

fn found(storage: &Storage) {
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
            amount: Amount::new(PURSE.unsigned_abs()).unwrap(),
            cap: None,
        }));
    }
    for act in acts {
        ask(storage, submission(None, &Value::Null, act));
    }
}

/// Asks everything, from several threads at once, and gathers every reply.
fn ask_all_at_once(storage: &Storage, history: &[Ask]) -> Vec<(Ask, Reply)> {
    std::thread::scope(|scope| {
        let share = |thread: usize| history.iter().skip(thread).step_by(THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let ask_one = |asked: &Ask| (*asked, ask(storage, asked.submission()));
                scope.spawn(move || share(thread).map(ask_one).collect::<Vec<_>>())
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

/// What must have come of the first answers, in the order of their records, by nothing but sums.
fn naive_balances(firsts: &BTreeMap<u64, (Ask, Answer)>) -> Vec<i64> {
    let mut balances = vec![PURSE; MEMBERS];
    let seq =
        |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).unwrap()["seq"].as_u64();
    let mut applied: Vec<_> = firsts
        .values()
        .filter(|(_, answer)| answer.status == 201)
        .map(|(asked, answer)| (seq(answer).unwrap(), *asked))
        .collect();
    applied.sort_by_key(|(seq, _)| *seq);
    for (
        _,
        Ask {
            from, to, amount, ..
        },
    ) in applied
    {
        let amount = i64::try_from(amount).unwrap();
        assert!(
            balances[from] >= amount,
            "it was applied, so it was covered"
        );
        balances[from] -= amount;
        balances[to] += amount;
    }
    balances
}

/// How often each thing was seen, over all histories.
#[derive(Default, Debug)]
struct Seen {
    applied: u32,
    refused: u32,
    replayed: u32,
    reused: u32,
}

impl Seen {
    fn count(&mut self, replies: &[(Ask, Reply)]) {
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
fn any_interleaving_gives_each_key_one_answer() {
    let cases = ProptestConfig::default().cases / 8;
    let seen = RefCell::new(Seen::default());
    let ran = long::runner(1, cases).run(&asks(), |history| {
        let replies = check_history(&history)?;
        seen.borrow_mut().count(&replies);
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.into_inner();
    let all = [seen.applied, seen.refused, seen.replayed, seen.reused];
    assert!(
        all.into_iter().all(|times| times > cases),
        "{seen:?} in {cases} histories"
    );
}

/// Plays a history, and gives the replies of its first time.
fn check_history(history: &[Ask]) -> Result<Vec<(Ask, Reply)>, TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    found(&storage);
    let replies = ask_all_at_once(&storage, history);

    let mut firsts: BTreeMap<u64, (Ask, Answer)> = BTreeMap::new();
    for (asked, reply) in &replies {
        if let Reply::Answered(answer) = reply
            && !answer.replayed
        {
            let before = firsts.insert(asked.key, (*asked, answer.clone()));
            prop_assert!(before.is_none(), "key {} ran twice", asked.key);
        }
    }
    for (asked, reply) in &replies {
        let (first, answer) = &firsts[&asked.key];
        match reply {
            Reply::Answered(again) => {
                prop_assert_eq!(first, asked, "another request was not served");
                prop_assert_eq!((again.status, &again.body), (answer.status, &answer.body));
            }
            Reply::KeyReused => prop_assert_ne!(first, asked),
            Reply::Stale | Reply::NoEconomy => prop_assert!(false, "{:?}", reply),
        }
    }
    prop_assert_eq!(balances(&storage), naive_balances(&firsts));

    // The same again in another order changes nothing, and neither does a new start.
    let state = storage.state();
    let backwards: Vec<Ask> = history.iter().rev().copied().collect();
    for (_, reply) in ask_all_at_once(&storage, &backwards) {
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
    audited(&path);
    Ok(replies)
}

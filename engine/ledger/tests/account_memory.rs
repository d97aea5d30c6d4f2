//! Memory of an account, and times of a transfer and of a restoration, for one and for many accounts.
//!
//! `cargo test --release -p bursar-ledger --test account_memory -- --ignored --nocapture` prints the figures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bursar_ledger::{
    AccountId, AccountStatus, Act, Amount, AssetId, AssetKind, Authority, Books, Change,
    CheckpointEntry, Decision, Digest, LimitsChange, Movement, Posting, Postings, Seed, Timestamp,
    TransferRequest, decide,
};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that are allocated now, by all threads. Only one test of this file runs without being asked for.
static LIVE: AtomicUsize = AtomicUsize::new(0);

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe; this one forwards everything to the system's"
)]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller fulfils the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

fn coin() -> AssetId {
    "coin".parse().expect("an asset")
}

/// Returns a name like those of Discord's members, in no order.
fn member(number: u64) -> AccountId {
    // SplitMix64 (Steele, Lea, Flood 2014), so that names are spread and the same in every run.
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let digits = 100_000_000_000_000_000 + mixed % 900_000_000_000_000_000;
    format!("user:{digits}").parse().expect("a name")
}

/// Books with accounts that have 100 coins each.
fn books(accounts: u64) -> Books {
    let now = Timestamp(1);
    let mut books = Books::new(Seed::new([7; 32]), now);
    let definition = bursar_ledger::Asset {
        kind: AssetKind::Currency,
        name: "Coin".into(),
        symbol: None,
        decimals: 0,
        max_supply: None,
        metadata: None,
    };
    let asset = coin();
    let set = Change::AssetSet { asset, definition };
    apply(&mut books, &Decision::recorded(Vec::new(), vec![set]));
    let asset = coin();
    let source = AccountId::issuer(&asset);
    for number in 0..accounts {
        let set = Change::AccountSet {
            account: member(number),
            status: AccountStatus::Open,
            limits: LimitsChange::default(),
            metadata: None,
        };
        let issued = 100 * (i64::try_from(number).expect("63 bits") + 1);
        let movement = Movement {
            part: 0,
            posting: Posting {
                source: source.clone(),
                destination: member(number),
                asset: asset.clone(),
                amount: Amount::new(100).expect("an amount"),
            },
            source_after: -issued,
            destination_after: 100,
        };
        apply(&mut books, &Decision::recorded(vec![movement], vec![set]));
    }
    books
}

fn apply(books: &mut Books, decision: &Decision) {
    let seq = books.seq() + 1;
    books.apply(decision, seq, Timestamp(1)).expect("it fits");
    books.seal(seq, Timestamp(1), Digest::ZERO);
}

/// Returns the bytes of an account in books that grew.
fn grown(accounts: u64) -> usize {
    let before = live();
    let books = books(accounts);
    let bytes = live() - before;
    drop(books);
    bytes / usize::try_from(accounts).expect("64 bits")
}

/// Returns the bytes of an account in restored books, and the nanoseconds that its entry took beyond
/// decoding.
fn restored(accounts: u64) -> (usize, u64) {
    let entries = books(accounts).into_entries();
    let lines: Vec<String> = entries
        .map(|entry| serde_json::to_string(&entry).expect("JSON"))
        .collect();
    let before = live();
    let mut books = None;
    let mut spent = 0;
    for lines in lines.chunks(65_536) {
        let entries = lines.iter().map(|line| serde_json::from_str(line));
        let entries: Vec<CheckpointEntry> = entries.map(|entry| entry.expect("JSON")).collect();
        let start = processor_time();
        for entry in entries {
            assert!(Books::restore(&mut books, entry));
        }
        spent += processor_time() - start;
    }
    assert!(books.as_ref().is_some_and(Books::is_complete));
    let bytes = live() - before;
    drop(books);
    (
        bytes / usize::try_from(accounts).expect("64 bits"),
        spent / accounts,
    )
}

/// Returns the nanoseconds of a transfer between two of the accounts: to decide it, and to apply it. Copies
/// of the books are taken and released after every 64.
fn transferred(accounts: u64) -> (u64, u64) {
    let mut books = books(accounts);
    let rounds = 2_000;
    let asset = coin();
    let request = |number: u64| {
        let posting = Posting {
            source: member(number * 7_919 % accounts),
            destination: member((number * 104_729 + 1) % accounts),
            asset: asset.clone(),
            amount: Amount::ONE,
        };
        Act::Transfer(TransferRequest {
            id: bursar_ledger::TransferId(uuid::Uuid::from_u128(number.into())),
            postings: Postings::new(vec![posting]).expect("two accounts"),
            authority: Authority::Bot,
            cap: None,
        })
    };
    let acts: Vec<Act> = (0..rounds * 64).map(request).collect();
    let count = u64::try_from(acts.len()).expect("64 bits");
    let start = processor_time();
    for act in &acts {
        assert!(decide(Some(&books), Timestamp(1), act).decision().is_some());
    }
    let decided = processor_time() - start;
    let start = processor_time();
    for acts in acts.chunks(64) {
        let published = books.clone();
        for act in acts {
            let verdict = decide(Some(&books), Timestamp(1), act);
            apply(&mut books, verdict.decision().expect("it has the money"));
        }
        drop(published);
    }
    let both = processor_time() - start;
    (decided / count, both.saturating_sub(decided) / count)
}

/// Returns the processor time of this thread in nanoseconds; the kernel updates it every few milliseconds.
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let time = stat.split(' ').next().and_then(|time| time.parse().ok());
    time.expect("a number")
}

/// The memory of an account with one balance and a name of 23 characters, in bytes: a third of the memory
/// of a balance in a map of its own.
const ACCOUNT_BYTES_MAX: usize = 240;

#[test]
fn an_account_with_one_balance_takes_little_memory() {
    let grown = grown(20_000);
    assert!(grown <= ACCOUNT_BYTES_MAX, "{grown} bytes in grown books");
    let (restored, _) = restored(20_000);
    assert!(
        restored <= ACCOUNT_BYTES_MAX,
        "{restored} bytes in restored books"
    );
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "prints what it measured")]
fn figures_of_a_million_accounts() {
    println!("grown: {} B an account", grown(1_000_000));
    let (bytes, nanoseconds) = restored(1_000_000);
    println!("restored: {bytes} B an account, {nanoseconds} ns each");
    for accounts in [50_000, 1_000_000] {
        let (decided, applied) = transferred(accounts);
        println!("a transfer among {accounts}: decided in {decided} ns, applied in {applied} ns");
    }
}

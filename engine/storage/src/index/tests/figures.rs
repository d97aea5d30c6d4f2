//! Figures of a large index, printed on request.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory_folder::Numbers;
use super::model::TestLog;
use crate::index::entry::{MovementSides, RecordEntries};
use crate::index::folder::RealFolder;
use crate::index::record_index::{Index, IndexOptions};
use crate::index::shared::IndexConfig;

const RECORDS: u64 = 10_000_000;
const ACCOUNTS: u64 = 100_000;
const LOOK_UPS: u64 = 50_000;

fn record(record: u64) -> RecordEntries {
    let mut numbers = Numbers(record);
    let account = |number: u64| u32::try_from(number).expect("a small number");
    let from = numbers.below(ACCOUNTS);
    let to = (from + 1 + numbers.below(ACCOUNTS - 1)) % ACCOUNTS;
    let after = |numbers: &mut Numbers| numbers.below(100_000).cast_signed();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&record.to_be_bytes());
    id[8..].copy_from_slice(&numbers.next().to_le_bytes());
    RecordEntries {
        record,
        economy: 1,
        seq: record,
        key: Some(Arc::from(format!("key-{record:012}"))),
        ids: vec![id],
        movements: vec![MovementSides {
            movement: record,
            asset: 1,
            sides: [
                (account(from), after(&mut numbers)),
                (account(to), after(&mut numbers)),
            ],
        }],
    }
}

fn each(title: &str, count: u64, mut run: impl FnMut(u64)) {
    let start = Instant::now();
    for number in 0..count {
        run(number);
    }
    let nanoseconds = start.elapsed().as_nanos() / u128::from(count);
    println!("{title}: {nanoseconds} ns");
}

#[test]
#[ignore = "takes a minute and 1 GB of disk; run it in release mode"]
fn index_figures() {
    let folder = tempfile::tempdir().expect("it opens");
    let path = folder.path().join("index");
    let open = |verified| {
        let folder = Arc::new(RealFolder::open(&path).expect("it opens"));
        let config = IndexConfig::default();
        let secret = [9; 16];
        let options = IndexOptions {
            verified,
            secret,
            config,
        };
        Index::open(folder, &TestLog::of(RECORDS), &options).expect("it opens")
    };
    let index = open(false);
    let mut adding = Duration::ZERO;
    let start = Instant::now();
    for first in (1..=RECORDS).step_by(1_000) {
        let records: Vec<_> = (first..first + 1_000).map(record).collect();
        let begun = Instant::now();
        let last = first + 999;
        index
            .add_blocking(&records, TestLog::of(RECORDS).head(last))
            .expect("the records follow");
        adding += begun.elapsed();
    }
    let added = start.elapsed();
    super::settle(&index);
    println!("{RECORDS} records: made and added in {added:?}, of it adding {adding:?}");
    println!("settled after {:?}", start.elapsed());
    look_up(&index);
    index.close().expect("the tail is written");
    for entry in std::fs::read_dir(&path).expect("the operation succeeds") {
        let entry = entry.expect("the operation succeeds");
        println!(
            "{:?} {}",
            entry.file_name(),
            entry.metadata().expect("the operation succeeds").len()
        );
    }
    for verified in [false, true] {
        let start = Instant::now();
        let index = open(verified);
        println!("opened (verified: {verified}) in {:?}", start.elapsed());
        println!("memory: {} bytes", index.memory());
        println!("{}", index.describe());
    }
}

fn look_up(index: &Index) {
    let mut numbers = Numbers(77);
    each("absent key", LOOK_UPS, |number| {
        let found = index.records_of_key(1, &format!("absent-{number}"));
        assert!(found.expect("the operation succeeds").is_empty());
    });
    each("present key", LOOK_UPS, |_| {
        let record = 1 + numbers.below(RECORDS);
        let found = index
            .records_of_key(1, &format!("key-{record:012}"))
            .expect("the operation succeeds");
        assert!(found.contains(&record));
    });
    each("records after", LOOK_UPS, |_| {
        let seq = numbers.below(RECORDS - 20);
        assert_eq!(
            index
                .records_after(1, seq, 20)
                .expect("the operation succeeds")
                .len(),
            20
        );
    });
    each("newest 20 movements", LOOK_UPS, |_| {
        let account = u32::try_from(numbers.below(ACCOUNTS)).expect("a small number");
        assert_eq!(
            index
                .movements_before(1, account, 1, u64::MAX, 20)
                .expect("the operation succeeds")
                .len(),
            20
        );
    });
    each("20 movements of the middle", LOOK_UPS, |_| {
        let account = u32::try_from(numbers.below(ACCOUNTS)).expect("a small number");
        assert_eq!(
            index
                .movements_before(1, account, 1, RECORDS / 2, 20)
                .expect("the operation succeeds")
                .len(),
            20
        );
    });
}

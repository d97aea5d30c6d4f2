//! Readers on other threads while tails are written and runs are merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::model::Model;
use super::{fill, settle};
use crate::index::folder::RealFolder;
use crate::index::record_index::{Index, IndexOptions};
use crate::index::shared::IndexConfig;

#[test]
fn readers_find_each_indexed_record_while_the_index_is_built() {
    let model = Model::random(20_000, 41);
    let folder = tempfile::tempdir().expect("it opens");
    let folder = Arc::new(RealFolder::open(&folder.path().join("index")).expect("it opens"));
    let options = IndexOptions {
        verified: false,
        secret: [3; 16],
        config: IndexConfig {
            tail_records: 500,
            tail_sides: 4_000,
            fan_out: 3,
            frozen_max: 2,
            retry_pause: Duration::from_millis(1),
        },
    };
    let index = Index::open(folder, &model.log, &options).expect("it opens");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let index = &index;
            let model = &model;
            let ended = &ended;
            scope.spawn(move || read(index, model, ended, reader));
        }
        fill(&index, &model);
        settle(&index);
        ended.store(true, Ordering::Relaxed);
    });
    index.close().expect("the tail is written");
}

fn read(index: &Index, model: &Model, ended: &AtomicBool, seed: u64) {
    let mut numbers = super::memory_folder::Numbers(seed);
    while !ended.load(Ordering::Relaxed) {
        let indexed = index.indexed();
        if indexed == 0 {
            continue;
        }
        let place = usize::try_from(numbers.below(indexed)).expect("a small number");
        let record = &model.records[place];
        if let Some(key) = &record.key {
            let found = index
                .records_of_key(record.economy, key)
                .expect("the operation succeeds");
            assert!(found.contains(&record.record), "{record:?}");
        }
        for id in &record.ids {
            let found = index
                .records_of_id(record.economy, id)
                .expect("the operation succeeds");
            assert!(found.contains(&record.record), "{record:?}");
        }
        let found = index
            .records_after(record.economy, record.seq - 1, 1)
            .expect("the operation succeeds");
        assert_eq!(found, [(record.seq, record.record)]);
        for movement in &record.movements {
            let [_, (account, after)] = movement.sides;
            let below = movement.movement + 1;
            let found = index.movements_before(record.economy, account, movement.asset, below, 1);
            let found = found.expect("the operation succeeds");
            assert_eq!(found[0].movement, movement.movement);
            assert_eq!((found[0].record, found[0].after), (record.record, after));
        }
    }
}

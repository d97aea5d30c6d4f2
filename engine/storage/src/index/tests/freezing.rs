//! Full reads of an index whose tail still grows.

use std::sync::Arc;

use super::memory_folder::MemoryFolder;
use super::model::Model;
use super::{SECRET, until};
use crate::index::folder::IndexFolder;
use crate::index::record_index::{Index, IndexOptions};
use crate::index::shared::{IndexConfig, LARGE_TAIL};

/// Opens an index with large tails, and adds the given number of records without movements.
fn with_records(count: usize) -> (Index, Model) {
    let mut model = Model::random(count as u64, 3);
    for record in &mut model.records {
        record.movements.clear();
    }
    let folder: Arc<dyn IndexFolder> = Arc::new(MemoryFolder::default());
    let options = IndexOptions {
        verified: false,
        secret: SECRET,
        config: IndexConfig::default(),
    };
    let index = Index::open(folder, &model.log, &options).expect("it opens");
    let head = model.log.head(count as u64);
    index.add(&model.records, head).expect("the records follow");
    (index, model)
}

#[test]
fn a_tail_is_frozen_for_a_full_read_only_if_it_is_large() {
    let (small, _) = with_records(LARGE_TAIL - 1);
    small.freeze();
    until(|| small.is_settled());
    assert_eq!(small.covered(), 0);
    let (large, model) = with_records(LARGE_TAIL);
    large.freeze();
    until(|| large.is_settled());
    assert_eq!(large.covered(), LARGE_TAIL as u64);
    model.compare(&large).expect("each look-up succeeds");
}

#[test]
fn reads_up_to_a_record_have_all_entries_up_to_it() {
    let (index, model) = with_records(LARGE_TAIL);
    let last = LARGE_TAIL as u64;
    let before: Result<Vec<_>, _> = index.each_record(last).collect();
    index.freeze();
    let after: Result<Vec<_>, _> = index.each_record(last).collect();
    assert_eq!(before.expect("all records").len(), LARGE_TAIL);
    assert_eq!(after.expect("all records").len(), LARGE_TAIL);
    for record in &model.records {
        let Some(key) = &record.key else {
            continue;
        };
        let found = index.records_of_key_until(record.economy, key, record.record);
        let found = found.expect("the look-up succeeds");
        assert!(found.contains(&record.record), "{record:?}");
    }
}

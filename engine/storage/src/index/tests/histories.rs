//! Random histories: an index equals the model at each moment, over reopenings, flushes and merges.

use proptest::prelude::*;

use super::memory_folder::MemoryFolder;
use super::model::Model;
use super::{fill, open, settle, written};
use crate::index::opening::IndexOrigin;

#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Settle,
    Close,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u64..40).prop_map(Step::Add),
        1 => Just(Step::Settle),
        1 => Just(Step::Close),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_equals_the_model_after_each_step(seed: u64, steps in steps()) {
        let whole = Model::random(500, seed);
        let folder = MemoryFolder::default();
        let mut records = 0;
        let mut index = open(&folder, &whole.log, false);
        for step in steps {
            match step {
                Step::Add(more) => records = (records + more).min(500),
                Step::Settle => settle(&index),
                Step::Close => {
                    index.close().expect("the tail is written");
                    index = open(&folder, &whole.log, false);
                    prop_assert_eq!(index.indexed(), records, "an orderly end loses nothing");
                    prop_assert_eq!(index.covered(), records);
                }
                Step::Crash => {
                    drop(index);
                    index = open(&folder, &whole.log, true);
                    let is_discarded = matches!(index.origin(), IndexOrigin::Discarded(_));
                    prop_assert!(!is_discarded, "{:?}", index.origin());
                }
            }
            let model = whole.upto(records);
            fill(&index, &model);
            model.compare(&index).expect("each look-up succeeds");
        }
    }
}

#[test]
fn a_large_history_has_several_pages_and_filters_in_a_run() {
    let model = Model::random(6_000, 3);
    let folder = written(&model);
    let longest = folder.files().into_iter().map(|(_, length)| length).max();
    assert!(longest > Some(8 * 4_096), "{longest:?}");
    let index = open(&folder, &model.log, true);
    model.compare(&index).expect("each look-up succeeds");
}

#[test]
fn a_record_may_have_many_movements() {
    let mut model = Model::random(20, 5);
    let first = crate::index::entry::MovementSides {
        movement: 0,
        asset: 1,
        sides: [(1, 5), (2, -5)],
    };
    let movements =
        (1..=16_384).map(|movement| crate::index::entry::MovementSides { movement, ..first });
    for record in &mut model.records {
        record.movements.clear();
    }
    model.records[9].movements = movements.collect();
    let folder = written(&model);
    let index = open(&folder, &model.log, true);
    let economy = model.records[9].economy;
    let found = index
        .movements_before(economy, 2, 1, u64::MAX, usize::MAX)
        .expect("the operation succeeds");
    assert_eq!(found.len(), 16_384);
    assert!(
        found
            .iter()
            .rev()
            .map(|entry| entry.movement)
            .eq(1..=16_384)
    );
    assert!(
        found
            .iter()
            .all(|entry| (entry.record, entry.after) == (10, -5))
    );
    let page = index
        .movements_before(economy, 1, 1, 9_000, 3)
        .expect("the operation succeeds");
    assert!(
        page.iter()
            .map(|entry| entry.movement)
            .eq([8_999, 8_998, 8_997])
    );
}

#[test]
fn an_id_of_many_records_spans_pages() {
    let mut model = Model::random(3_000, 8);
    for record in &mut model.records {
        record.economy = 1;
        record.seq = record.record;
        record.ids = vec![[9; 16]];
    }
    let folder = written(&model);
    let index = open(&folder, &model.log, true);
    model.compare(&index).expect("each look-up succeeds");
}

#[test]
fn a_record_out_of_order_is_rejected_and_changes_nothing() {
    let model = Model::random(10, 1);
    let index = open(&MemoryFolder::default(), &model.log, false);
    index
        .add(&model.records[..2], [0; 32])
        .expect("the records follow");
    for wrong in [&model.records[1..3], &model.records[3..4]] {
        assert!(index.add(wrong, [0; 32]).is_err());
    }
    let mut gap = model.records[2..5].to_vec();
    gap.remove(1);
    assert!(index.add(&gap, [0; 32]).is_err());
    assert_eq!(index.indexed(), 2);
    model
        .upto(2)
        .compare(&index)
        .expect("each look-up succeeds");
    index
        .add(&model.records[2..], [0; 32])
        .expect("the records follow");
    model.compare(&index).expect("each look-up succeeds");
}

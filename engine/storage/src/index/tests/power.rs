//! Power cuts: after each change of the folder, with unsynced changes kept, lost, torn or in another order.

use super::memory_folder::{Cut, MemoryFolder};
use super::model::Model;
use super::{fill, open, settle};
use crate::index::opening::IndexOrigin;

/// The number of records of the history: four tails, and merges of two levels.
const RECORDS: u64 = 32;

/// The number of mixtures of kept, lost and torn changes for each place of a cut.
const MIXTURES: u64 = 2;

#[test]
fn each_power_cut_leaves_a_prefix_or_nothing() {
    let model = Model::random(RECORDS, 21);
    let folder = MemoryFolder::default();
    let index = open(&folder, &model.log, false);
    fill(&index, &model);
    settle(&index);
    index.close().expect("the tail is written");
    let mut newest = 0;
    for changes in 0..=folder.changes() {
        let mixtures = (0..MIXTURES).map(|seed| Cut::Mixes(changes as u64 * MIXTURES + seed));
        for cut in [Cut::LosesAll, Cut::KeepsAll].into_iter().chain(mixtures) {
            let image = folder.cut(changes, cut);
            let index = open(&image, &model.log, true);
            let is_discarded = matches!(index.origin(), IndexOrigin::Discarded(_));
            assert!(!is_discarded, "{changes} {cut:?}: {:?}", index.origin());
            let covered = index.indexed();
            model
                .upto(covered)
                .compare(&index)
                .expect("each look-up succeeds");
            if matches!(cut, Cut::LosesAll) {
                assert!(covered >= newest, "{changes}: {covered} after {newest}");
                newest = covered;
            }
            // The image is continued like any other index.
            if changes % 5 == 0 {
                fill(&index, &model);
                model.compare(&index).expect("each look-up succeeds");
                index.close().expect("the tail is written");
                let index = open(&image, &model.log, true);
                assert_eq!(index.indexed(), RECORDS);
                model.compare(&index).expect("each look-up succeeds");
            }
        }
    }
    assert_eq!(newest, RECORDS);
}

#[test]
fn a_power_cut_during_the_removal_of_an_index_leaves_no_part_of_it() {
    let model = Model::random(24, 1);
    let other = super::model::TestLog {
        file_id: [2; 16],
        ..model.log
    };
    let folder = MemoryFolder::default();
    let index = open(&folder, &model.log, false);
    fill(&index, &model);
    index.close().expect("the tail is written");
    let index = open(&folder, &other, false);
    let renamed = Model {
        log: other,
        ..model.clone()
    };
    fill(&index, &renamed);
    index.close().expect("the tail is written");
    for changes in 0..=folder.changes() {
        for seed in 0..MIXTURES {
            let image = folder.cut(changes, Cut::Mixes(seed));
            let index = open(&image, &other, true);
            renamed
                .upto(index.indexed())
                .compare(&index)
                .expect("each look-up succeeds");
        }
    }
}

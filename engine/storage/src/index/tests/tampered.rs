//! Damage: each byte of each file is changed, and no look-up gives a wrong answer.

use super::memory_folder::MemoryFolder;
use super::model::Model;
use super::{open, written};
use crate::index::error::IndexError;
use crate::index::opening::{DiscardReason, IndexOrigin};

/// The distance of the bytes that are changed with all look-ups repeated: a step that meets each place of small fields.
const STEP: usize = 61;

/// Returns a small index with runs of several levels.
fn index() -> (Model, MemoryFolder) {
    let model = Model::random(100, 11);
    let folder = written(&model);
    assert!(folder.files().len() > 8, "{:?}", folder.files());
    (model, folder)
}

fn is_discarded(folder: &MemoryFolder, model: &Model, verified: bool) -> bool {
    let index = open(folder, &model.log, verified);
    let is_damaged = matches!(
        index.origin(),
        IndexOrigin::Discarded(DiscardReason::Damaged(_))
    );
    assert_eq!(index.indexed() == 0, is_damaged);
    is_damaged
}

#[test]
fn each_changed_byte_is_found_by_the_check_of_a_start() {
    // Three tails give a merged run and an unmerged one of each kind.
    let model = Model::random(24, 11);
    let folder = written(&model);
    assert_eq!(folder.files().len(), 9);
    for (name, length) in folder.files() {
        let bytes = folder.bytes(&name);
        let is_padding = |place: &usize| bytes[*place] == 0 && !place.is_multiple_of(16);
        for place in (0..length).filter(|place| !is_padding(place)) {
            let changed = folder.copy_of_damage(&name, place);
            assert!(
                is_discarded(&changed, &model, true),
                "byte {place} of {name}"
            );
        }
    }
}

#[test]
fn a_changed_byte_never_changes_an_answer() {
    let (model, folder) = index();
    let mut found_late = 0;
    for (name, length) in folder.files() {
        for place in (0..length).step_by(STEP) {
            let changed = folder.copy_of_damage(&name, place);
            let index = open(&changed, &model.log, false);
            if matches!(index.origin(), IndexOrigin::Discarded(_)) {
                continue;
            }
            // Look-ups of all entries read each page.
            let error = model.compare(&index).expect_err("a damaged page is read");
            assert!(
                matches!(error, IndexError::Damaged { .. }),
                "byte {place} of {name}"
            );
            found_late += 1;
        }
    }
    assert!(found_late > 0);
}

#[test]
fn pages_and_files_that_changed_places_are_found() {
    let model = Model::random(3_000, 2);
    let folder = written(&model);
    let mut swapped = 0;
    for (name, length) in folder.files() {
        if !name.starts_with("run-") || length < 3 * 4_096 {
            continue;
        }
        let changed = folder.copy();
        changed.damage(&name, |bytes| {
            let (first, second) = bytes.split_at_mut(4_096);
            first.swap_with_slice(&mut second[..4_096]);
        });
        assert!(is_discarded(&changed.copy(), &model, true), "{name}");
        let index = open(&changed, &model.log, false);
        assert!(
            matches!(model.compare(&index), Err(IndexError::Damaged { .. })),
            "{name}"
        );
        swapped += 1;
    }
    assert!(swapped > 2);
}

#[test]
fn a_merge_of_a_damaged_run_is_a_failure_and_keeps_its_inputs() {
    let model = Model::random(16, 2);
    let folder = written(&model.upto(8));
    for (name, _) in folder
        .files()
        .iter()
        .filter(|(name, _)| name.starts_with("run-"))
    {
        folder.damage(name, |bytes| bytes[100] ^= 1);
    }
    let index = open(&folder, &model.log, false);
    super::fill(&index, &model);
    super::until(|| index.failure().is_some());
    assert!(matches!(index.failure(), Some(IndexError::Damaged { .. })));
    for (name, _) in folder
        .files()
        .iter()
        .filter(|(name, _)| name.starts_with("run-"))
    {
        assert!(folder.files().iter().any(|(other, _)| other == name));
    }
    assert!(model.compare(&index).is_err());
}

impl MemoryFolder {
    fn copy_of_damage(&self, name: &str, place: usize) -> Self {
        let copy = self.copy();
        copy.damage(name, |bytes| bytes[place] ^= 1 << (place % 8));
        copy
    }
}

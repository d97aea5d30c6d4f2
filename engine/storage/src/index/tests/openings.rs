//! Openings of indexes: one that does not belong to the log is removed, and a new one begins empty.

use super::memory_folder::MemoryFolder;
use super::model::{Model, TestLog};
use super::{fill, open, written};
use crate::index::opening::{DiscardReason, IndexOrigin};

/// Opens an index beside another log, and returns the reason why the index was removed.
fn discarded(model: &Model, log: TestLog) -> DiscardReason {
    let folder = written(model);
    folder.damage("manifest", |_| {});
    let index = open(&folder, &log, false);
    assert_eq!(index.indexed(), 0);
    assert!(folder.files().is_empty(), "{:?}", folder.files());
    let IndexOrigin::Discarded(reason) = index.origin().clone() else {
        panic!("{:?}", index.origin());
    };
    // The new index works.
    let other = Model {
        log,
        ..model.upto(log.records.min(60))
    };
    fill(&index, &other);
    other.compare(&index).expect("each look-up succeeds");
    index.close().expect("the tail is written");
    let index = open(&folder, &log, true);
    assert!(matches!(index.origin(), IndexOrigin::Kept));
    other.compare(&index).expect("each look-up succeeds");
    reason
}

#[test]
fn an_index_of_another_file_is_removed() {
    let model = Model::random(60, 1);
    let log = TestLog {
        file_id: [2; 16],
        ..model.log
    };
    assert!(matches!(discarded(&model, log), DiscardReason::OtherFile));
}

#[test]
fn an_index_that_is_newer_than_the_log_is_removed() {
    let model = Model::random(60, 1);
    let log = TestLog {
        records: 59,
        ..model.log
    };
    let reason = discarded(&model, log);
    assert!(
        matches!(
            reason,
            DiscardReason::Newer {
                covered: 60,
                records: 59
            }
        ),
        "{reason}"
    );
}

#[test]
fn an_index_of_other_records_at_an_equal_position_is_removed() {
    let model = Model::random(60, 1);
    let log = TestLog {
        fork: (40, 1),
        ..model.log
    };
    let reason = discarded(&model, log);
    assert!(
        matches!(reason, DiscardReason::OtherRecords { record: 60 }),
        "{reason}"
    );
}

#[test]
fn an_index_of_other_records_in_a_longer_log_is_removed() {
    let model = Model::random(60, 1);
    let log = TestLog {
        fork: (40, 1),
        records: 100,
        ..model.log
    };
    let reason = discarded(&model, log);
    assert!(
        matches!(reason, DiscardReason::OtherRecords { record: 60 }),
        "{reason}"
    );
}

#[test]
fn an_older_index_is_kept_and_continued() {
    let whole = Model::random(200, 1);
    let folder = written(&whole.upto(77));
    // The log differs from the other one only after the indexed records.
    let log = TestLog {
        fork: (77, 1),
        ..whole.log
    };
    let whole = Model { log, ..whole };
    let index = open(&folder, &whole.log, false);
    assert!(matches!(index.origin(), IndexOrigin::Kept));
    assert_eq!(index.indexed(), 77);
    fill(&index, &whole);
    whole.compare(&index).expect("each look-up succeeds");
}

#[test]
fn a_missing_index_begins_empty_and_files_of_others_stay() {
    let model = Model::random(60, 1);
    let folder = written(&model);
    folder.lose("manifest");
    let other: Box<_> =
        crate::index::folder::IndexFolder::create(&folder, "notes.txt").expect("a file is created");
    drop(other);
    let index = open(&folder, &model.log, false);
    assert!(matches!(index.origin(), IndexOrigin::Created));
    assert_eq!(index.indexed(), 0);
    assert_eq!(folder.files(), [("notes.txt".to_owned(), 0)]);
    drop(index);
}

#[test]
fn each_missing_or_shortened_file_is_found() {
    let model = Model::random(100, 1);
    let folder = written(&model);
    for (name, length) in folder.files() {
        let changes: [&dyn Fn(&MemoryFolder); 3] = [
            &|folder| folder.lose(&name),
            &|folder| folder.damage(&name, |bytes| bytes.truncate(length - 1)),
            &|folder| folder.damage(&name, |bytes| bytes.push(0)),
        ];
        for change in changes {
            let copy = folder.copy();
            change(&copy);
            assert_eq!(open(&copy, &model.log, false).indexed(), 0, "{name}");
        }
    }
}

#[test]
fn unnamed_files_of_an_index_are_removed() {
    let model = Model::random(60, 1);
    let folder = written(&model);
    let before = folder.files();
    for name in ["run-9999", "manifest.new"] {
        crate::index::folder::IndexFolder::create(&folder, name).expect("a file is created");
    }
    let index = open(&folder, &model.log, false);
    assert!(matches!(index.origin(), IndexOrigin::Kept));
    assert_eq!(folder.files(), before);
}

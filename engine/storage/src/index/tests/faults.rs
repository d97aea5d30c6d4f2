//! Faults: each operation on the files fails, once or from then on.

use std::sync::Arc;

use super::memory_folder::{Fault, MemoryFolder};
use super::model::Model;
use super::{open, options};
use crate::index::error::IndexError;
use crate::index::opening::IndexOpenError;
use crate::index::record_index::Index;

/// The number of records of a script: four tails, and merges of two levels.
const RECORDS: u64 = 32;

/// Runs a script in which each step may fail, and compares all look-ups that do not fail.
fn run(folder: &MemoryFolder, model: &Model) -> Result<(), IndexError> {
    let opened = Index::open(Arc::new(folder.clone()), &model.log, &options(true));
    let index = opened.map_err(|error| match error {
        IndexOpenError::Index(error) => error,
        IndexOpenError::Log(never) => match never {},
    })?;
    for part in model.records.chunks(3) {
        let last = part.last().expect("a part is not empty").record;
        // A rebuild waits for the disk. Records that are added after their commit never wait.
        if index.add_blocking(part, model.log.head(last)).is_err() {
            index
                .add(part, model.log.head(last))
                .expect("the records follow");
        }
        for record in part {
            let found = record
                .key
                .as_deref()
                .map(|key| index.records_of_key(record.economy, key));
            match found.unwrap_or(Ok(vec![record.record])) {
                Ok(found) => assert!(found.contains(&record.record), "{record:?}"),
                Err(error) => assert!(matches!(error, IndexError::Io { .. }), "{error}"),
            }
        }
    }
    index.close()
}

#[test]
fn each_operation_may_fail_once() {
    let model = Model::random(RECORDS, 31);
    let folder = MemoryFolder::default();
    run(&folder, &model).expect("the operation succeeds");
    let count = folder.operations();
    for place in 1..=count {
        let folder = MemoryFolder::default();
        folder.set_fault(Fault::Once(place));
        run(&folder, &model).ok();
        folder.set_fault(Fault::Never);
        check(&folder, &model);
    }
}

#[test]
fn each_operation_may_fail_for_good() {
    let model = Model::random(RECORDS, 32);
    let folder = MemoryFolder::default();
    run(&folder, &model).expect("the operation succeeds");
    let count = folder.operations();
    for place in 1..=count {
        let folder = MemoryFolder::default();
        folder.set_fault(Fault::From(place));
        run(&folder, &model).ok();
        folder.set_fault(Fault::Never);
        check(&folder, &model);
    }
}

/// Checks that the folder opens with a prefix of the records, and that the rest can be added.
fn check(folder: &MemoryFolder, model: &Model) {
    let index = open(folder, &model.log, true);
    model
        .upto(index.indexed())
        .compare(&index)
        .expect("each look-up succeeds");
    super::fill(&index, model);
    model.compare(&index).expect("each look-up succeeds");
    index.close().expect("the tail is written");
    let index = open(folder, &model.log, true);
    assert_eq!(index.indexed(), RECORDS);
    model.compare(&index).expect("each look-up succeeds");
}

#[test]
fn a_full_disk_puts_the_index_behind_and_loses_nothing() {
    let model = Model::random(150, 33);
    let folder = MemoryFolder::default();
    let index = open(&folder, &model.log, false);
    assert!(!index.is_behind());
    folder.set_fault(Fault::From(0));
    for part in model.records.chunks(4) {
        index
            .add(
                part,
                model
                    .log
                    .head(part.last().expect("a part is not empty").record),
            )
            .expect("the records follow");
    }
    assert!(index.is_behind());
    super::until(|| index.failure().is_some());
    assert!(index.add_blocking(&[], [0; 32]).is_err());
    model.compare(&index).expect("each look-up succeeds");
    folder.set_fault(Fault::Never);
    super::settle(&index);
    assert!(!index.is_behind());
    assert!(index.failure().is_none());
    model.compare(&index).expect("each look-up succeeds");
    index.close().expect("the tail is written");
}

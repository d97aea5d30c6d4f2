//! Tests of the index against a naive model. Its answers are exact after power cuts, faults and damage, and while it is
//! built.

mod concurrent;
mod faults;
mod figures;
mod freezing;
mod histories;
mod memory_folder;
mod model;
mod openings;
mod power;
mod tampered;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::folder::IndexFolder;
use super::record_index::{Index, IndexOptions};
use super::shared::IndexConfig;
use memory_folder::MemoryFolder;
use model::{Model, TestLog};

/// The secret of the indexes of these tests.
const SECRET: [u8; 16] = [7; 16];

/// Sizes with which a few records make runs of several levels.
fn tiny() -> IndexConfig {
    IndexConfig {
        tail_records: 8,
        tail_sides: 64,
        fan_out: 2,
        frozen_max: 2,
        retry_pause: Duration::from_millis(1),
    }
}

fn options(verified: bool) -> IndexOptions {
    IndexOptions {
        verified,
        secret: SECRET,
        config: tiny(),
    }
}

/// Opens an index that has to open.
fn open(folder: &MemoryFolder, log: &TestLog, verified: bool) -> Index {
    let folder: Arc<dyn IndexFolder> = Arc::new(folder.clone());
    Index::open(folder, log, &options(verified)).expect("it opens")
}

/// Adds the records of the model that the index does not have, a few at a time.
fn fill(index: &Index, model: &Model) {
    let start = usize::try_from(index.indexed()).expect("a small number");
    for part in model.records[start..].chunks(3) {
        let last = part.last().expect("a part is not empty").record;
        index
            .add_blocking(part, model.log.head(last))
            .expect("the records follow");
    }
}

/// Waits until something holds, for a minute at most.
fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < end, "it did not hold within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until no merge is due and no tail waits.
fn settle(index: &Index) {
    until(|| index.is_settled());
}

/// Writes the index of a model, settled and closed.
fn written(model: &Model) -> MemoryFolder {
    let folder = MemoryFolder::default();
    let index = open(&folder, &model.log, false);
    fill(&index, model);
    settle(&index);
    index.close().expect("the tail is written");
    folder
}

//! Indexes that do not belong to the log beside them. None of them may make a used key appear unused.

use std::path::{Path, PathBuf};

use bursar_storage::{SubmitError, WriterState};

use crate::indexes::{IndexCopy, index_of};
use crate::requests::{
    Answers, FILE, ask, audit, check, check_folder, folder, found, insist, key, open,
};

/// A closed file, and the requests that it has received.
struct Closed {
    folder: tempfile::TempDir,
    numbers: Vec<u64>,
    answers: Answers,
}

impl Closed {
    fn new(numbers: std::ops::Range<u64>) -> Self {
        let folder = folder();
        let storage = open(folder.path()).expect("it is made");
        found(&storage);
        storage.close();
        let mut closed = Self {
            folder,
            numbers: Vec::new(),
            answers: Answers::new(),
        };
        closed.ask(numbers);
        closed
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ask(&mut self, numbers: std::ops::Range<u64>) {
        let storage = open(self.path()).expect("it opens");
        for number in numbers {
            let answer = insist(&storage, number).expect("the writer works");
            self.numbers.push(number);
            self.answers.insert(number, answer.body);
        }
        assert!(storage.close());
    }

    /// Copies the file with its index.
    fn copy(&self) -> Self {
        let folder = folder();
        std::fs::copy(self.path().join(FILE), folder.path().join(FILE)).expect("a copy");
        IndexCopy::of(self.path()).put(folder.path());
        Self {
            folder,
            numbers: self.numbers.clone(),
            answers: self.answers.clone(),
        }
    }

    /// Checks the file with this index beside it. The further requests were never sent to the file.
    fn check_with(&self, index: Option<&IndexCopy>, further: &[u64]) {
        match index {
            Some(index) => index.put(self.path()),
            None => std::fs::remove_dir_all(index_of(self.path())).expect("it is there"),
        }
        let numbers: Vec<u64> = self.numbers.iter().chain(further).copied().collect();
        let checked = check_folder(self.path(), &numbers, &self.answers);
        assert_eq!(checked, Ok(()));
    }
}

#[test]
fn a_lost_or_older_index_is_completed() {
    let mut file = Closed::new(1..40);
    let older = IndexCopy::of(file.path());
    file.ask(40..80);
    file.copy().check_with(None, &[]);
    file.copy().check_with(Some(&older), &[]);
    file.copy().check_with(Some(&IndexCopy::default()), &[]);
}

#[test]
fn an_index_that_is_newer_than_the_log_is_rebuilt() {
    let file = Closed::new(1..40);
    let mut later = file.copy();
    later.ask(40..80);
    let further: Vec<u64> = (40..80).collect();
    file.check_with(Some(&IndexCopy::of(later.path())), &further);
}

/// A restored file that has continued, beside the index of the file that it replaced: both have the same number of
/// records and the same id.
#[test]
fn an_index_of_another_timeline_at_an_equal_record_is_rebuilt() {
    let mut file = Closed::new(1..40);
    let mut other = file.copy();
    file.ask(40..48);
    other.ask(80..88);
    let of_other = IndexCopy::of(other.path());
    let further: Vec<u64> = (80..88).collect();
    file.copy().check_with(Some(&of_other), &further);
    // The other timeline may be shorter, too.
    file.ask(48..60);
    file.check_with(Some(&of_other), &further);
}

#[test]
fn the_index_of_another_file_is_rebuilt() {
    let file = Closed::new(1..40);
    // The same requests are sent in the same order, so that only the id of the file differs.
    let same = Closed::new(1..40);
    let other = Closed::new(60..99);
    file.copy()
        .check_with(Some(&IndexCopy::of(same.path())), &[]);
    let further: Vec<u64> = (60..99).collect();
    file.check_with(Some(&IndexCopy::of(other.path())), &further);
}

/// Returns the files of the runs of an index.
fn runs(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(index_of(folder)).expect("it is there");
    let paths = names.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| !path.ends_with("manifest")).collect()
}

/// A start after an orderly end does not read pages. The checksum of a damaged page fails when a key is looked up: the
/// writer ends, and the next start rebuilds the index.
#[test]
fn a_damaged_page_ends_the_writer_and_the_next_start_rebuilds_the_index() {
    let file = Closed::new(1..60);
    for run in runs(file.path()) {
        let mut bytes = std::fs::read(&run).expect("a run");
        for byte in bytes.iter_mut().take(64).skip(16) {
            *byte = !*byte;
        }
        std::fs::write(&run, bytes).expect("a run");
    }
    let storage = open(file.path()).expect("it opens");
    let mut refused = 0;
    for number in &file.numbers {
        let (economy, key) = key(*number);
        if let Ok(stored) = storage.stored(&economy, &key) {
            assert!(stored.is_some(), "request {number} looks unused");
        }
        match ask(&storage, *number) {
            Ok(answer) => assert!(answer.replayed, "request {number} is applied again"),
            Err(SubmitError::Unknown | SubmitError::Unavailable) => refused += 1,
            Err(other) => panic!("request {number}: {other}"),
        }
    }
    assert!(refused > 0, "no page was damaged");
    assert!(!storage.close());
    assert_eq!(*storage.writer().borrow(), WriterState::GaveUp);
    drop(storage);
    let storage = open(file.path()).expect("it opens again");
    assert_eq!(check(&storage, &file.numbers, &file.answers), Ok(()));
    assert!(storage.close());
    assert_eq!(audit(file.path()), Ok(()));
}

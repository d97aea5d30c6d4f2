//! A full disk: requests are refused, nothing acknowledged is lost, and the storage works again once there is space.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar_storage::{MaintenanceConfig, Storage, SubmitError, WriterState};

use crate::recorder::record;
use crate::recording::Recording;
use crate::requests::{
    Answers, PATIENCE, ask, check_folder, folder, found, insist, key, open_with,
};

/// The longest time for which a client waits for the answer to a request that fails.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// A served file, and a client.
struct Served {
    folder: tempfile::TempDir,
    recording: Arc<Recording>,
    storage: Storage,
    answers: Answers,
    made: Vec<u64>,
}

impl Served {
    fn new() -> Self {
        let folder = folder();
        let recording = record(folder.path());
        let pace = MaintenanceConfig::frequent().with_reopen_tries(u32::MAX);
        let storage = open_with(folder.path(), pace).expect("it is made");
        found(&storage);
        Self {
            folder,
            recording,
            storage,
            answers: Answers::new(),
            made: Vec::new(),
        }
    }

    /// Sends further requests, each of which is answered in the end.
    fn serve(&mut self, times: u64) {
        for _ in 0..times {
            let number = self.made.len() as u64 + 1;
            self.made.push(number);
            let answer = insist(&self.storage, number).expect("the writer works");
            self.answers.insert(number, answer.body);
        }
    }

    /// Sends requests until one is refused, and some more. Returns the failures.
    fn refused(&mut self) -> Vec<SubmitError> {
        let began = Instant::now();
        let mut failures = Vec::new();
        while failures.len() < 5 {
            assert!(began.elapsed() < PATIENCE, "no request is refused");
            let number = self.made.len() as u64 + 1;
            self.made.push(number);
            let asked = Instant::now();
            match ask(&self.storage, number) {
                Ok(answer) => drop(self.answers.insert(number, answer.body)),
                Err(failure) => failures.push(failure),
            }
            assert!(asked.elapsed() < ANSWERED_WITHIN, "request {number} waits");
        }
        failures
    }

    /// Checks that acknowledged requests can be read, even if the disk is full.
    fn look(&self) {
        for (number, body) in &self.answers {
            let (economy, key) = key(*number);
            let found = self.storage.stored(&economy, &key).expect("it is read");
            assert_eq!(found.expect("it is there").body, body);
        }
    }

    fn end(self) {
        assert_eq!(*self.storage.writer().borrow(), WriterState::Working);
        assert!(self.storage.close());
        drop(self.storage);
        let checked = check_folder(self.folder.path(), &self.made, &self.answers);
        assert_eq!(checked, Ok(()));
    }
}

#[test]
fn a_full_disk_refuses_requests_until_there_is_space() {
    let mut served = Served::new();
    for _ in 0..3 {
        served.serve(12);
        served.recording.fill(true);
        // Maintenance may fail before a commit does.
        let is_expected = |failure: &SubmitError| {
            matches!(failure, SubmitError::Unknown | SubmitError::Unavailable)
        };
        assert!(served.refused().iter().all(is_expected));
        served.look();
        served.recording.fill(false);
        served.serve(12);
    }
    served.end();
}

/// Another thread writes the index. Requests that wait for that thread would wait for ever.
#[test]
fn a_full_disk_under_the_index_refuses_requests_until_there_is_space() {
    let mut served = Served::new();
    for _ in 0..2 {
        served.serve(20);
        served.recording.fill_index(true);
        let failures = served.refused();
        assert!(
            failures
                .iter()
                .all(|failure| *failure == SubmitError::Unavailable)
        );
        served.look();
        served.recording.fill_index(false);
        served.serve(40);
    }
    served.end();
}

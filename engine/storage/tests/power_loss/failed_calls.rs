//! Runs in which the n-th call of a kind fails, once or from then on: nothing acknowledged is lost, no answer is wrong,
//! nothing hangs, and the file opens afterwards.

use std::sync::Arc;

use bursar_storage::{Answer, Storage};

use crate::recorder::record;
use crate::recording::{Call, Fault, Recording};
use crate::requests::{
    Answers, check_folder, folder, found, insist, key, open, receive, submit, wanted,
};

/// The number of requests of the run.
const REQUESTS: u64 = 40;

/// The request before which the file is closed and opened again.
const REOPENED_BEFORE: u64 = 25;

/// The number of requests that are sent together.
const AT_ONCE: std::ops::Range<u64> = 10..18;

/// A client of a file whose calls fail.
struct Client {
    folder: tempfile::TempDir,
    recording: Arc<Recording>,
    storage: Option<Storage>,
    answers: Answers,
    /// The requests that may have been sent.
    made: Vec<u64>,
}

impl Client {
    fn new() -> Self {
        let folder = folder();
        let storage = open(folder.path()).expect("it is made");
        found(&storage);
        storage.close();
        let recording = record(folder.path());
        Self {
            folder,
            recording,
            storage: None,
            answers: Answers::new(),
            made: Vec::new(),
        }
    }

    /// Opens the file. A start that failed is repeated once, as a supervisor does.
    fn open(&mut self) {
        let path = self.folder.path();
        self.storage = open(path).or_else(|_| open(path)).ok();
    }

    fn close(&mut self) {
        if let Some(storage) = self.storage.take() {
            storage.close();
        }
    }

    fn note(&mut self, number: u64, answer: &Answer) {
        let body = answer.body.clone();
        let before = self.answers.insert(number, body.clone());
        assert!(
            before.is_none_or(|before| before == body),
            "request {number} is answered twice"
        );
    }

    /// Sends a request until it is answered. Returns false if the writer has given up.
    fn ask(&mut self, number: u64) -> bool {
        let Some(storage) = self.storage.clone() else {
            return false;
        };
        self.made.push(number);
        let answer = insist(&storage, number);
        if let Some(answer) = &answer {
            self.note(number, answer);
        }
        self.look(&storage);
        answer.is_some()
    }

    /// Sends some requests together, and repeats those that fail.
    fn ask_at_once(&mut self, numbers: std::ops::Range<u64>) -> bool {
        let Some(storage) = self.storage.clone() else {
            return false;
        };
        self.made.extend(numbers.clone());
        let asked: Vec<_> = numbers
            .clone()
            .map(|number| submit(&storage, number))
            .collect();
        let mut all = true;
        for (number, asked) in numbers.zip(asked) {
            let answer = asked.and_then(receive).ok();
            match answer.or_else(|| insist(&storage, number)) {
                Some(answer) => self.note(number, &answer),
                None => all = false,
            }
        }
        all
    }

    /// Reads an answer that was received. The read may fail, but must not report that there is no answer.
    fn look(&self, storage: &Storage) {
        let Some((number, body)) = self.answers.last_key_value() else {
            return;
        };
        let (economy, key) = key(*number);
        if let Ok(found) = storage.stored(&economy, &key) {
            let found = found.expect("an answer that was received is there");
            assert_eq!(found.body, body, "request {number}");
        }
    }

    /// Sends all requests until the writer gives up.
    fn run(&mut self) {
        self.open();
        for number in 1..AT_ONCE.start {
            if !self.ask(number) {
                return;
            }
        }
        if !self.ask_at_once(AT_ONCE) {
            return;
        }
        for number in AT_ONCE.end..=REQUESTS {
            if number == REOPENED_BEFORE {
                self.close();
                self.open();
            }
            if !self.ask(number) {
                return;
            }
        }
    }
}

/// Runs with a fault. Returns an error if a check fails afterwards, and false if the fault did not occur.
fn run_with(fault: Fault) -> (bool, Result<(), String>) {
    let mut client = Client::new();
    client.recording.plan(fault, || ());
    client.run();
    client.close();
    let met = client.recording.was_met();
    client.recording.heal();
    let checked = check_folder(client.folder.path(), &client.made, &client.answers);
    (met, checked)
}

/// Returns the number of calls of each kind in a run without a fault.
fn calls() -> Vec<(Call, usize)> {
    let mut client = Client::new();
    let none = Fault {
        call: Call::Open,
        after: usize::MAX,
        lasts: false,
    };
    client.recording.plan(none, || ());
    client.run();
    client.close();
    assert_eq!(client.answers.len() as u64, REQUESTS);
    Call::ALL
        .map(|call| (call, client.recording.calls(call)))
        .to_vec()
}

/// Fails calls of each kind, and returns the checks that failed.
fn fail_calls(lasts: bool, most: usize) -> (usize, Vec<String>) {
    let mut met = 0;
    let mut wrong = Vec::new();
    for (call, count) in calls() {
        for after in (0..count).step_by(count.div_ceil(most).max(1)) {
            let fault = Fault { call, after, lasts };
            let (was_met, checked) = run_with(fault);
            met += usize::from(was_met);
            if let Err(what) = checked {
                wrong.push(format!("{fault:?}: {what}"));
            }
        }
    }
    (met, wrong)
}

/// Returns the number of calls of each kind that fail. The environment can request more of them.
fn faults_wanted() -> usize {
    wanted("BURSAR_FAULTS", 6)
}

#[test]
fn no_fault_of_a_call_loses_or_repeats_anything() {
    let (met, wrong) = fail_calls(false, faults_wanted());
    assert!(met > 20, "{met} faults were met");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_lasting_fault_of_calls_loses_or_repeats_anything() {
    let (met, wrong) = fail_calls(true, faults_wanted().div_ceil(2));
    assert!(met > 10, "{met} faults were met");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Creates a file while a call fails. Returns true if the fault occurred.
fn make_with(fault: Fault) -> bool {
    let folder = folder();
    let recording = record(folder.path());
    recording.plan(fault, || ());
    let made = open(folder.path());
    let met = recording.was_met();
    recording.heal();
    let storage = match made {
        Ok(storage) => storage,
        // The remains of the failed attempt do not prevent another one.
        Err(_) => open(folder.path()).expect("it is made at the second attempt"),
    };
    found(&storage);
    let answer = insist(&storage, 1).expect("the writer works");
    storage.close();
    drop(storage);
    let answers = Answers::from([(1, answer.body)]);
    assert_eq!(
        check_folder(folder.path(), &[1], &answers),
        Ok(()),
        "{fault:?}"
    );
    met
}

#[test]
fn no_fault_while_a_file_is_made_leaves_half_a_file() {
    let mut met = 0;
    let most = faults_wanted().min(40);
    for call in Call::ALL {
        for after in 0..most {
            let fault = Fault {
                call,
                after,
                lasts: false,
            };
            if !make_with(fault) {
                break;
            }
            met += 1;
        }
    }
    assert!(met > 20, "{met} faults were met");
}

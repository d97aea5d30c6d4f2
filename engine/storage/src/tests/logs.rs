//! Write-ahead logs beside a file: there is none after an orderly end, and a log of another file or time is rejected.

use std::time::Duration;

use super::watched::{pace, prepare};
use super::*;
use crate::commit::maintenance::MaintenanceConfig;
use crate::error::StorageError;
use crate::file::header;
use crate::file::log_origin::{self, path_of};

/// The bytes of a file and of its log, as the death of a process leaves them.
#[derive(Clone)]
struct Left {
    file: Vec<u8>,
    log: Vec<u8>,
    records: u64,
}

impl Left {
    fn of(path: &Path, records: u64) -> Self {
        Self {
            file: std::fs::read(path).expect("the file"),
            log: std::fs::read(path_of(path)).unwrap_or_default(),
            records,
        }
    }

    /// Puts the file of this copy and the log of another copy into a folder.
    fn mixed(&self, log: &Self, folder: &Path) -> PathBuf {
        let path = folder.join("guild.db");
        std::fs::write(&path, &self.file).expect("written");
        std::fs::write(path_of(&path), &log.log).expect("written");
        path
    }
}

/// Returns the names of all files in a folder.
fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn open_anyway(path: &Path) -> Result<Storage, StorageError> {
    Storage::open(path, FileLock::acquire(path)?, &time(), render)
}

#[test]
fn an_orderly_end_leaves_one_file_with_its_index() {
    let (folder, path, storage) = open_guild();
    answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    let reader = storage.clone();
    assert!(storage.close());
    assert_eq!(listing(folder.path()), ["guild.db", "guild.db-index"]);
    assert!(matches!(
        reader.stored(&guild(), &name("k")),
        Err(StorageError::Closed)
    ));
    all_promises_hold(&path);
    assert_eq!(
        listing(folder.path()),
        ["guild.db", "guild.db-index"],
        "an audit leaves nothing"
    );
}

/// Returns settings with which the log is copied into the file at the start and at the end only.
fn one_log() -> MaintenanceConfig {
    MaintenanceConfig {
        tidy_every: Duration::MAX,
        ..pace()
    }
}

/// Returns copies of a file and its log at many moments of an opening.
fn moments(path: &Path, opening: u8, pace: MaintenanceConfig) -> Vec<Left> {
    let (writer, shared) = prepare(path, render, pace, |_, _| Ok(()));
    let thread = std::thread::spawn(move || writer.run());
    let mut moments = Vec::new();
    for number in 0..12 {
        let asked = submission(
            Some(&format!("{opening} {number}")),
            transfer("user:1", "user:2", 1),
        );
        let receiver = super::watched::push(&shared, asked).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
        // The writer may copy its log into the file during the read. The copy counts only if both reads are equal.
        let before = Left::of(path, 0);
        let records = shared.published.load().records();
        let after = Left::of(path, records);
        if before.file == after.file && before.log == after.log {
            moments.push(after);
        }
    }
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    moments
}

/// A file that opens has its own log, with all changes that were acknowledged by then.
#[test]
fn a_file_is_opened_with_the_log_of_its_own_time_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let first = moments(&path, 1, pace());
    let second = moments(&path, 2, one_log());
    assert!(first.len() > 3 && second.len() > 3, "moments are seen");
    let all: Vec<Left> = first.into_iter().chain(second).collect();
    let mut own = 0;
    let mut foreign = 0;
    for (at, file) in all.iter().enumerate() {
        for (of, log) in all.iter().enumerate() {
            let mixed = file.mixed(log, other.path());
            match open_anyway(&mixed) {
                Ok(storage) => {
                    assert_eq!(storage.state().records(), log.records, "{at} with {of}");
                    storage.close();
                    all_promises_hold(&mixed);
                    own += 1;
                }
                Err(StorageError::ForeignLog { .. }) => {
                    assert_ne!(at, of, "a file with its own log");
                    assert_eq!(std::fs::read(&mixed).expect("it is there"), file.file);
                    assert_eq!(
                        std::fs::read(path_of(&mixed)).expect("it is there"),
                        log.log
                    );
                    foreign += 1;
                }
                Err(error) => panic!("{at} with {of}: {error}"),
            }
        }
    }
    assert!(
        own >= all.len() && foreign > 0,
        "{own} own, {foreign} foreign"
    );
}

#[test]
fn a_log_that_is_torn_anywhere_is_still_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let left = moments(&path, 1, one_log()).pop().expect("a moment");
    let other = tempfile::tempdir().expect("a folder");
    for bytes in (0..left.log.len()).step_by(509) {
        let mut torn = left.clone();
        torn.log.truncate(bytes);
        let path = torn.mixed(&torn, other.path());
        let header = header::read(&path)
            .expect("it is there")
            .expect("a file of ours");
        assert!(log_origin::check(&path, header).is_ok(), "{bytes} bytes");
        let mut bent = left.clone();
        bent.log[bytes] ^= 0x40;
        let path = bent.mixed(&bent, other.path());
        assert!(log_origin::check(&path, header).is_ok(), "byte {bytes}");
    }
}

/// An operator copies a closed file by hand, and puts the copy back after a kill.
#[test]
fn an_older_copy_is_refused_beside_a_newer_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let copy = Left::of(&path, 0);
    let backup = folder.path().join("backup.db");
    let plan = BackupPlan {
        audit: false,
        wal_bytes_max: BACKUP_WAL_BYTES_MAX,
    };
    let made = back_up_file(&path, &backup, plan, render, &mut |_, _| {});
    made.expect("a backup");
    let newer = moments(&path, 1, one_log()).pop().expect("a moment");
    let backup = Left::of(&backup, 0);
    let live = tempfile::tempdir().expect("a folder");
    for old in [&copy, &backup] {
        let path = old.mixed(&newer, live.path());
        let refused = open_anyway(&path).err().expect("it is refused");
        assert!(
            refused.to_string().contains("`bursar restore`"),
            "{refused}"
        );
        assert!(audit_file(&path, &[], render, &mut |_, _| {}).is_err());
        assert_eq!(listing(live.path()), ["guild.db", "guild.db-wal"]);
        assert_eq!(std::fs::read(&path).expect("it is there"), old.file);
    }
}

#[test]
fn a_copy_without_its_log_says_what_may_be_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    assert_eq!(all_promises_hold(&path).caveats, Vec::<String>::new());
    let left = moments(&path, 1, one_log()).pop().expect("a moment");
    assert!(all_promises_hold(&path).caveats.is_empty(), "it was closed");
    let copy = folder.path().join("copy.db");
    std::fs::write(&copy, &left.file).expect("written");
    let report = all_promises_hold(&copy);
    assert!(report.records < left.records, "the log had the rest");
    let [caveat] = report.caveats.as_slice() else {
        panic!("{:?}", report.caveats);
    };
    assert!(caveat.contains("newest records are missing"), "{caveat}");
    // With its log beside it the file is complete.
    std::fs::write(path_of(&copy), &left.log).expect("written");
    let report = all_promises_hold(&copy);
    assert_eq!((report.records, report.caveats.len()), (left.records, 0));
}

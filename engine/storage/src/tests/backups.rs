//! Copies of a file that is in use: each is of one moment and complete, or absent.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;

use bursar_ledger::Digest;
use bytes::Bytes;

use super::*;

const PLAN: BackupPlan = BackupPlan {
    audit: true,
    wal_bytes_max: BACKUP_WAL_BYTES_MAX,
};

/// Sends transfers one after the other until `ended` is set; returns their number.
fn pay_until(storage: &Storage, ended: &AtomicBool, number: usize) -> u64 {
    let mut paid = 0;
    while !ended.load(Ordering::SeqCst) {
        let key = format!("beside {number} {paid}");
        let answer = answered(ask(storage, Some(&key), transfer("user:1", "user:2", 1)));
        assert!(answer.status == 201 || answer.status == 422, "{answer:?}");
        paid += 1;
    }
    paid
}

/// Opens a file and copies it during payments, with no space for the log to grow. Returns the reason if the copy was
/// given up.
fn back_up_beside_payments(path: &Path, to: &Path, number: usize) -> Option<BackupError> {
    // A log that kept its earlier length would have space for all payments.
    let database = Database::open_writer(path).expect("nothing else has it open");
    let busy = database.number("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(busy.expect("a checkpoint"), 0);
    drop(database);
    let storage = open(path);
    let plan = BackupPlan {
        wal_bytes_max: 0,
        audit: false,
    };
    let ended = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let paying = scope.spawn(|| pay_until(&storage, &ended, number));
        let done = storage.back_up(to, plan, &mut |_, _| {});
        ended.store(true, Ordering::SeqCst);
        assert!(paying.join().expect("it pays") > 0);
        done
    });
    drop(std::fs::remove_file(to));
    storage.close();
    done.err()
}

/// Checks that a copy has the file's records up to its head, and that only its owner can read it.
fn is_the_log(report: &BackupReport, path: &Path, storage: &Storage) {
    let found = report.path.metadata().expect("it is there");
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(report.bytes, found.len());
    let here = path;
    let there = &report.path;
    let mut expected = chained(here);
    expected.truncate(usize::try_from(report.records).expect("few"));
    assert_eq!(chained(there), expected);
    let head = report.economies.first().expect("one economy");
    let seen = SeenHead {
        economy: Some(head.economy.clone()),
        hash: head.head,
    };
    let audit = storage
        .audit(&[seen], &Cancel::new(), &mut |_, _| {})
        .expect("the audit runs");
    assert!(audit.ok, "{audit:#?}");
}

#[test]
fn a_backup_under_load_is_the_log_up_to_its_head() {
    let (folder, path, storage) = open_guild();
    answered(ask(&storage, Some("more"), issue("user:1", 100_000)));
    let ended = AtomicBool::new(false);
    let reports = std::thread::scope(|scope| {
        let paying = scope.spawn(|| pay_until(&storage, &ended, 0));
        let reports: Vec<_> = [true, false]
            .into_iter()
            .map(|audit| {
                let to = folder.path().join(format!("copy-{audit}.db"));
                let before = storage.state().records();
                let plan = BackupPlan { audit, ..PLAN };
                let report = storage.back_up(&to, plan, &mut |_, _| {}).expect("a copy");
                assert!(
                    report.records >= before && report.audited == audit,
                    "{report:?}"
                );
                report
            })
            .collect();
        ended.store(true, Ordering::SeqCst);
        assert!(paying.join().expect("it pays") > 0);
        reports
    });
    for report in &reports {
        is_the_log(report, &path, &storage);
    }
    storage.close();
    drop(storage);
    for report in reports {
        // The copy is opened, as a restored file is.
        assert_eq!(all_promises_hold(&report.path).records, report.records);
        let restored = open(&report.path);
        answered(ask(
            &restored,
            Some("after"),
            transfer("user:1", "user:2", 1),
        ));
        restored.close();
        drop(restored);
        all_promises_hold(&report.path);
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .collect();
    let partial = left
        .iter()
        .flatten()
        .any(|it| it.path().to_string_lossy().ends_with(".partial"));
    assert!(!partial, "{left:?}");
}

#[test]
fn a_backup_overwrites_nothing() {
    let (folder, path, storage) = open_guild();
    let to = folder.path().join("copy.db");
    let partial = folder.path().join("copy.db.partial");
    let dangling = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("copy.db"), &dangling).expect("a link");
    for taken in [&to, &partial] {
        std::fs::write(taken, "precious").expect("written");
        let refused = storage.back_up(&to, PLAN, &mut |_, _| {});
        assert!(
            matches!(&refused, Err(BackupError::NewFile(NewFileError::Exists(path))) if path == taken),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(taken).expect("there"), b"precious");
        std::fs::remove_file(taken).expect("removed");
    }
    assert!(matches!(
        storage.back_up(&path, PLAN, &mut |_, _| {}),
        Err(BackupError::NewFile(NewFileError::Exists(_)))
    ));
    // A link that leads nowhere is followed: the copy is made where it points.
    let report = storage
        .back_up(&dangling, PLAN, &mut |_, _| {})
        .expect("a copy");
    assert_eq!(report.path, canonical(&to));
    let nowhere = folder.path().join("none").join("copy.db");
    let failed = storage.back_up(&nowhere, PLAN, &mut |_, _| {});
    assert!(
        matches!(failed, Err(BackupError::NewFile(NewFileError::File { .. }))),
        "{failed:?}"
    );
    storage.close();
}

#[test]
fn a_backup_that_lets_the_log_grow_too_large_is_given_up_and_changes_nothing() {
    let (folder, path, storage) = open_guild();
    // Large enough that copying it takes longer than some commits.
    for n in 0..4_u8 {
        let bytes = vec![n; 12 << 20];
        let digest = Digest::of(&bytes);
        let act = Act::AddComponent {
            digest,
            bytes: bytes.len() as u64,
            name: "shop".into(),
            version: "1.0.0".into(),
        };
        let component = Some((digest, Bytes::from(bytes)));
        let receiver = storage
            .submit(Submission {
                component,
                ..submission(None, act)
            })
            .expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
    answered(ask(&storage, Some("more"), issue("user:1", 100_000)));
    storage.close();
    drop(storage);
    let to = folder.path().join("copy.db");
    // Each attempt begins with a small log, because a log keeps its length once it has grown: no further growth would
    // be seen.
    let given_up = (0..20).find_map(|number| back_up_beside_payments(&path, &to, number));
    let storage = open(&path);
    assert!(
        matches!(given_up, Some(BackupError::Behind { wal_bytes, .. }) if wal_bytes > 0),
        "{given_up:?}"
    );
    let partial = folder.path().join("copy.db.partial");
    assert!(!to.exists() && !partial.exists());
    answered(ask(
        &storage,
        Some("after"),
        transfer("user:1", "user:2", 1),
    ));
    storage.close();
    drop(storage);
    all_promises_hold(&path);
}

#[test]
fn a_damaged_file_gives_no_backup_that_looks_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    alter_records(&path, |record| {
        if record.id == 2 {
            record.actor = "another".into();
        }
    });
    let to = folder.path().join("copy.db");
    for audit in [true, false] {
        let plan = BackupPlan { audit, ..PLAN };
        let refused = back_up_file(&path, &to, plan, render, &mut |_, _| {});
        let Err(BackupError::Unsound(what)) = refused else {
            panic!("a copy of what is damaged: {refused:?}");
        };
        assert!(what.contains("record 2"), "{what}");
        assert!(!to.exists());
    }
}

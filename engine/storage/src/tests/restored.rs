//! Restores of backups over existing files.

use super::*;
use crate::error::StorageError;
use crate::file::log_origin::path_of;
use crate::tools::restore::REPLACED_MAX;

const PLAN: BackupPlan = BackupPlan {
    audit: true,
    wal_bytes_max: BACKUP_WAL_BYTES_MAX,
};

fn back_up(path: &Path, to: &Path) {
    back_up_file(path, to, PLAN, render, &mut |_, _| {}).expect("a backup");
}

fn restore(backup: &Path, to: &Path) -> Result<RestoreReport, BackupError> {
    restore_file(backup, to, PLAN, render, &mut |_, _| {})
}

fn pay(path: &Path, key: &str) {
    let storage = open(path);
    answered(ask(&storage, Some(key), transfer("user:1", "user:2", 1)));
    storage.close();
}

#[test]
fn a_backup_takes_the_place_of_the_file_which_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let backup = folder.path().join("b.db");
    founded(&path);
    back_up(&path, &backup);
    let records = all_promises_hold(&path).records;
    for number in 1..=2 {
        pay(&path, &format!("{number}"));
        let report = restore(&backup, &path).expect("a restore");
        let kept = report.replaced.expect("the file was there");
        assert!(kept.ends_with(format!("guild.db.replaced-{number}")));
        assert_eq!(all_promises_hold(&kept).records, records + 1);
        assert_eq!(all_promises_hold(&path).records, records);
        let [gone] = report.gone.as_slice() else {
            panic!("{:?}", report.gone);
        };
        assert_eq!((gone.before, gone.now), (records + 1, records));
        assert!(!report.may_lack_records);
    }
    let nowhere = folder.path().join("new.db");
    let report = restore(&backup, &nowhere).expect("a restore");
    assert_eq!((report.replaced, report.gone.len()), (None, 0));
    pay(&nowhere, "on");
}

/// After a kill the log stays with the file to which it belongs, and is not applied to the backup.
#[test]
fn a_killed_files_log_goes_with_it() {
    let (folder, path, storage) = open_guild();
    answered(ask(&storage, Some("1"), transfer("user:1", "user:2", 1)));
    let killed = tempfile::tempdir().expect("a folder");
    let left = killed.path().join("guild.db");
    std::fs::copy(&path, &left).expect("copied");
    std::fs::copy(path_of(&path), path_of(&left)).expect("copied");
    let records = storage.state().records();
    storage.close();
    let backup = folder.path().join("b.db");
    let before = folder.path().join("before.db");
    founded(&before);
    back_up(&before, &backup);
    let report = restore(&backup, &left).expect("a restore");
    assert!(!path_of(&left).exists());
    let kept = report.replaced.expect("the file was there");
    assert_eq!(all_promises_hold(&kept).records, records);
    all_promises_hold(&left);
}

#[test]
fn what_is_no_sound_backup_replaces_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let backup = folder.path().join("b.db");
    founded(&path);
    back_up(&path, &backup);
    let before = std::fs::read(&path).expect("it is there");
    let unsound = folder.path().join("unsound.db");
    std::fs::copy(&backup, &unsound).expect("copied");
    alter_records(&unsound, |record| {
        for movement in &mut record.movements {
            movement.amount = Amount::new(3).expect("an amount");
        }
    });
    vandalise(&unsound, "DELETE FROM checkpoints");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no database").expect("written");
    for (from, to) in [
        (&unsound, &path),
        (&text, &path),
        (&folder.path().join("none.db"), &path),
        (&path, &path),
        (&backup, &text),
        (&backup, &folder.path().to_owned()),
        (&backup, &folder.path().join("none/guild.db")),
    ] {
        let refused = restore(from, to);
        assert!(refused.is_err(), "{from:?} to {to:?}: {refused:?}");
    }
    assert_eq!(std::fs::read(&path).expect("it is there"), before);
    assert_eq!(std::fs::read(&text).expect("it is there"), b"no database");
    let storage = open(&path);
    let served = restore(&backup, &path).expect_err("it is refused");
    assert!(matches!(
        served,
        BackupError::NewFile(NewFileError::Storage(StorageError::Busy { .. }))
    ));
    storage.close();
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("it is there")
        .collect();
    // There are the four files, and the index of the served one.
    assert_eq!(names.len(), 5, "{names:?}");
}

#[test]
fn so_many_replaced_files_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let backup = folder.path().join("b.db");
    founded(&path);
    back_up(&path, &backup);
    for number in 1..REPLACED_MAX {
        std::fs::write(
            folder.path().join(format!("guild.db.replaced-{number}")),
            "",
        )
        .expect("written");
    }
    let last = restore(&backup, &path).expect("the last one").replaced;
    assert!(
        last.expect("it is there")
            .ends_with(format!("guild.db.replaced-{REPLACED_MAX}"))
    );
    let before = std::fs::read(&path).expect("it is there");
    let refused = restore(&backup, &path).expect_err("one beyond");
    assert!(refused.to_string().contains("remove some"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("it is there"), before);
    all_promises_hold(&path);
}

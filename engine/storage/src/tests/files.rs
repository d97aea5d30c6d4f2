//! Files and their locks: owners, links, and files of other programs, which are not touched.

use std::time::Duration;

use super::*;
use crate::error::StorageError;
use crate::file::lock::{LINKS_MAX, canonical};
use crate::log::file::FileLog;

#[test]
fn a_second_process_learns_who_owns_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    let owner = Owner {
        pid: 42,
        socket: folder.path().join("s.sock"),
        token: "secret".into(),
    };
    storage.announce(&owner).expect("the note is written");
    let Err(StorageError::Busy {
        pid, owner: found, ..
    }) = FileLock::acquire(&path)
    else {
        panic!("the lock was given twice");
    };
    assert_eq!((pid, found), (42, Some(Box::new(owner))));
    storage.close();
    FileLock::acquire(&path).expect("a file that is closed is free");
}

#[test]
fn a_process_that_opens_or_closes_a_file_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    // The owner has not announced its address yet.
    let held = FileLock::acquire(&path).expect("the lock");
    let impatient = FileLock::acquire_within(&path, Duration::ZERO);
    assert!(matches!(impatient, Err(StorageError::Busy { pid: 0, .. })));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| FileLock::acquire_within(&path, Duration::MAX));
        drop(held);
        let waited = waits.join().expect("it ends");
        waited.expect("the lock, after a wait");
    });
}

#[test]
fn another_programs_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    std::fs::write(&path, "").expect("a file");
    let other = Database::open_new(&path).expect("a database");
    other.batch("CREATE TABLE precious (x)").expect("a table");
    drop(other);
    let bytes = std::fs::read(&path).expect("the file");
    let refused = FileLock::acquire(&path).expect_err("it is not ours");
    let StorageError::NotOurs { reason, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(reason, ForeignFile::OtherProgram(0));
    assert_eq!(std::fs::read(&path).expect("the file"), bytes);
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1);
    assert!(matches!(
        FileLog::open(&path, Timestamp(1)),
        Err(StorageError::Foreign(0))
    ));
}

#[test]
fn what_is_no_file_of_ours_has_no_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("it is there");
    let empty = folder.join("empty.db");
    let text = folder.join("notes.txt");
    std::fs::write(&empty, "").expect("a file");
    std::fs::write(&text, "notes ".repeat(99)).expect("a file");
    let short = folder.join("short.txt");
    std::fs::write(&short, "notes").expect("a file");
    let away = folder.join("away");
    for (path, reason) in [
        (folder.clone(), ForeignFile::Folder(folder.clone())),
        (away.join("guild.db"), ForeignFile::NoFolder(away.clone())),
        ("/dev/null".into(), ForeignFile::NotAFile),
        (empty, ForeignFile::Empty),
        (text, ForeignFile::NotADatabase),
        (short, ForeignFile::NotADatabase),
    ] {
        match FileLock::acquire(&path) {
            Err(StorageError::NotOurs { reason: found, .. }) => assert_eq!(found, reason),
            other => panic!("{path:?}: {other:?}"),
        }
    }
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 3);
}

/// A lock file that its holder has removed locks nothing: a process that has waited for it opens the lock file again.
#[test]
fn a_lock_is_of_the_file_that_has_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let rounds = 200;
    let held = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut taken = 0;
                while taken < rounds {
                    let Ok(lock) = FileLock::acquire(&path) else {
                        continue;
                    };
                    assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    held.fetch_sub(1, Ordering::SeqCst);
                    drop(lock);
                    taken += 1;
                }
            });
        }
    });
    assert!(!folder.path().join("guild.db.lock").exists());
}

#[test]
fn a_new_file_has_its_name_once_it_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    // A process that was killed while it made the file has left this.
    std::fs::write(folder.path().join("guild.db.partial"), "half").expect("a file");
    open(&path).close();
    // The file and its index.
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 2);
    all_promises_hold(&path);
}

#[test]
fn a_later_versions_file_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    drop(FileLog::open(&path, Timestamp(1)).expect("a new file"));
    let later = Database::open_writer(&path).expect("a database");
    later.batch("PRAGMA user_version = 99").expect("a pragma");
    drop(later);
    let error = FileLog::open(&path, Timestamp(1)).err().expect("too new");
    assert!(matches!(error, StorageError::TooNew { found: 99, .. }));
    let error = FileLock::acquire(&path).expect_err("too new");
    assert!(matches!(error, StorageError::TooNew { found: 99, .. }));
}

#[test]
fn only_its_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path, storage) = open_guild();
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        let mode = std::fs::metadata(file)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    storage.close();
}

#[test]
fn a_link_to_a_file_leads_to_the_same_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("guild.db", &link).expect("a link");
    // The file is not there yet: it will be made where the link points.
    let lock = FileLock::acquire(&link).expect("the lock");
    assert!(matches!(
        FileLock::acquire(&path),
        Err(StorageError::Busy { .. })
    ));
    let storage = Storage::open(&link, lock, &time(), render).expect("the file opens");
    found(&storage);
    let owner = Owner {
        pid: 42,
        socket: beside(&link, "sock"),
        token: "secret".into(),
    };
    storage.announce(&owner).expect("the note is written");
    for spelling in [&path, &link, &folder.path().join("./guild.db")] {
        let taken = FileLock::acquire(spelling);
        assert!(matches!(taken, Err(StorageError::Busy { pid: 42, .. })));
        assert_eq!(beside(spelling, "sock"), owner.socket);
    }
    storage.close();
    drop(storage);
    all_promises_hold(&link);
}

#[test]
fn a_file_with_two_names_is_not_opened_until_one_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let second = folder.path().join("second.db");
    founded(&path);
    std::fs::hard_link(&path, &second).expect("a second name");
    for name in [&path, &second] {
        assert!(matches!(
            FileLock::acquire(name),
            Err(StorageError::Linked { names: 2, .. })
        ));
    }
    std::fs::remove_file(&second).expect("removed");
    FileLock::acquire(&path).expect("with one name it is opened");
}

/// A longer chain of links is a loop, or takes as long as one.
#[test]
fn links_to_links_end_at_their_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("it is there");
    let link = |number: usize| root.join(format!("link-{number}"));
    let target = root.join("guild.db");
    std::os::unix::fs::symlink(&target, link(1)).expect("a link");
    for number in 2..=LINKS_MAX + 1 {
        std::os::unix::fs::symlink(link(number - 1), link(number)).expect("a link");
    }
    // The file is not there yet, so the operating system does not follow them itself.
    assert_eq!(canonical(&link(LINKS_MAX)), target);
    assert_eq!(canonical(&link(LINKS_MAX + 1)), link(1));
}

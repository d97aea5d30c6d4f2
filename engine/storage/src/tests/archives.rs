//! Moves of economies between files: all records, hashes and answers move, or nothing does.

use std::io::{BufReader, Read};

use super::rich::{furnish, system};
use super::*;
use crate::tools::archive::EPOCH_MAX;

/// A time after all records of these tests.
const NOW: Timestamp = Timestamp(30_000);

fn importing() -> ImportContext {
    ImportContext {
        time: TimeSource::even(|| NOW),
        system: system(),
        seed: Seed::new([9; 32]),
        actor: "owner".into(),
        render,
    }
}

pub(super) fn exported(path: &Path) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut take = |some: Vec<u8>| {
        lines.extend(some);
        Ok(())
    };
    export_file(path, &guild(), &mut take, &mut |_, _| {}).expect("it is exported");
    lines
}

fn imported(path: &Path, lines: &[u8]) -> Result<ImportReport, ArchiveError> {
    import_file(path, &importing(), &mut &*lines, &mut |_, _| {})
}

/// Returns a folder with a closed file that has many kinds of records, and the export of its guild.
fn rich_file() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    furnish(&storage);
    storage.close();
    drop(storage);
    let lines = exported(&path);
    (folder, path, lines)
}

/// Creates a file with another economy whose time is later.
fn other(path: &Path) {
    let later = TimeSource::even(|| Timestamp(20_000));
    let lock = FileLock::acquire(path).expect("the lock");
    let storage = Storage::open(path, lock, &later, render).expect("the file opens");
    for act in founding() {
        let submission = Submission {
            economy: name("other"),
            ..submission(None, act)
        };
        let receiver = storage.submit(submission).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
    storage.close();
}

#[test]
fn an_economy_is_the_same_in_another_file() {
    let (folder, path, lines) = rich_file();
    let count = lines.split(|byte| *byte == b'\n').count() as u64 - 1;
    for (to, others) in [("new.db", 0), ("other.db", 4)] {
        let to = folder.path().join(to);
        if others > 0 {
            other(&to);
        }
        let report = imported(&to, &lines).expect("it is imported");
        assert_eq!(report.records + 3, count, "an opening, a component, an end");
        let source = open(&path);
        assert_eq!(source.state().head(&guild()), Some(report.head));
        source.close();
        drop(source);
        // The system economy is opened with the component.
        let audit = all_promises_hold(&to);
        assert_eq!(audit.records, others + 2 + report.records);
        let decided = format!("{} decisions repeated", audit.records);
        assert!(
            audit
                .promises
                .iter()
                .any(|it| it.checked.contains(&decided)),
            "{audit:#?}"
        );
        assert_eq!(exported(&to), lines);

        let storage = open(&to);
        assert_eq!(
            posted(&storage.state(), "user:2"),
            posted(
                &crate::tools::audit::load(&path).expect("a state"),
                "user:2"
            )
        );
        let again = answered(ask(&storage, Some("pay"), transfer("user:1", "user:2", 30)));
        assert!(again.replayed, "{again:?}");
        answered(ask(&storage, Some("new"), transfer("user:1", "user:2", 1)));
        let state = storage.state();
        let stamped = state.books(&guild()).expect("it is there").recorded_at();
        assert_eq!(state.recorded_at, stamped, "it is the newest of the file");
        storage.close();
        drop(storage);
        all_promises_hold(&to);
        // And on to a third one, with what was written here.
        let third = folder.path().join("third.db");
        let lines = exported(&to);
        let later = ImportContext {
            time: TimeSource::even(|| Timestamp(40_000)),
            ..importing()
        };
        let moved = import_file(&third, &later, &mut &*lines, &mut |_, _| {});
        moved.expect("it is imported");
        assert_eq!(exported(&third), lines);
        all_promises_hold(&third);
        std::fs::remove_file(third).expect("removed");
    }
}

#[test]
fn an_opening_after_an_import_comes_after_those_that_records_name() {
    let (folder, path, _) = rich_file();
    for _ in 0..5 {
        open(&path).close();
    }
    let storage = open(&path);
    answered(ask(&storage, Some("late"), transfer("user:1", "user:2", 1)));
    storage.close();
    drop(storage);
    let to = folder.path().join("new.db");
    imported(&to, &exported(&path)).expect("it is imported");
    let storage = open(&to);
    answered(ask(
        &storage,
        Some("later"),
        transfer("user:1", "user:2", 1),
    ));
    storage.close();
    drop(storage);
    all_promises_hold(&to);
    let epochs = records(&to).into_iter().map(|record| record.epoch);
    assert_eq!(epochs.max(), Some(8));
}

/// Returns the number of rows of each table of a file.
fn content(path: &Path) -> [i64; 3] {
    ["frames", "epochs", "checkpoints"]
        .map(|table| count(path, &format!("SELECT count(*) FROM {table}")))
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    text
}

#[test]
fn what_is_cut_altered_or_out_of_order_changes_nothing() {
    let (folder, _, lines) = rich_file();
    let new = folder.path().join("new.db");
    let old = folder.path().join("old.db");
    other(&old);
    let before = content(&old);
    let refused = |text: &[u8], how: &str| {
        for path in [&new, &old] {
            let message = imported(path, text).expect_err(how).to_string();
            assert!(
                message.contains("nothing was imported") || message.contains("Nothing"),
                "{how}: {message}"
            );
        }
        assert!(!new.exists(), "{how}");
        assert_eq!(content(&old), before, "{how}");
    };
    let text = lines.strip_suffix(b"\n").expect("a last line");
    let each: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    for n in 0..each.len() {
        refused(&joined(&each[..n]), "cut after a line");
        let without = [&each[..n], &each[n + 1..]].concat();
        refused(&joined(&without), "a line is missing");
        let mut twice = each.clone();
        twice.insert(n, each[n]);
        refused(&joined(&twice), "a line is there twice");
        if n > 0 {
            let mut swapped = each.clone();
            swapped.swap(n - 1, n);
            refused(&joined(&swapped), "two lines are swapped");
        }
        let mut longer = each[n].to_vec();
        longer.truncate(longer.len() / 2);
        refused(
            &[&joined(&each[..n])[..], &longer].concat(),
            "cut within a line",
        );
        let mut altered = each.clone();
        let digit = each[n]
            .iter()
            .rposition(u8::is_ascii_digit)
            .expect("there is a number");
        let mut line = each[n].to_vec();
        line[digit] = if line[digit] == b'7' { b'3' } else { b'7' };
        altered[n] = &line;
        refused(&joined(&altered), "a digit is altered");
    }
    imported(&old, &lines).expect("it is imported after all");
    all_promises_hold(&old);
}

#[test]
fn an_economy_is_imported_once_and_the_files_own_not_at_all() {
    let (folder, path, lines) = rich_file();
    assert!(matches!(imported(&path, &lines), Err(ArchiveError::Exists(it)) if it == guild()));
    let text = String::from_utf8(lines.clone()).expect("text");
    let reserved = text.replacen(r#""economy":"guild""#, r#""economy":"system""#, 1);
    let new = folder.path().join("new.db");
    let refused = imported(&new, reserved.as_bytes());
    assert!(
        matches!(refused, Err(ArchiveError::Reserved(_))),
        "{refused:?}"
    );
    let later = text.replacen(r#""format":2"#, r#""format":3"#, 1);
    let refused = imported(&new, later.as_bytes()).expect_err("of a later format");
    assert!(refused.to_string().contains("use bursar"), "{refused}");
    let missing = export_file(&path, &name("missing"), &mut |_| Ok(()), &mut |_, _| {});
    assert!(matches!(missing, Err(ArchiveError::NoEconomy(_))));
}

#[test]
fn a_line_has_a_largest_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new.db");
    for (bytes, too_long) in [(LINE_BYTES_MAX, false), (LINE_BYTES_MAX + 1, true)] {
        let mut input = BufReader::new(std::io::repeat(b'x').take(bytes - 1).chain(&b"\n"[..]));
        let refused = import_file(&new, &importing(), &mut input, &mut |_, _| {});
        let message = refused.expect_err("no line of ours").to_string();
        assert_eq!(message.contains("bytes at most"), too_long, "{message}");
    }
}

/// An economy that a build before the log has exported: an account with metadata, an issue, a transfer, one that was
/// rejected, and a hold.
const FORMAT_1: &str = include_str!("format_1.jsonl");

#[test]
fn an_export_of_an_earlier_build_is_imported_with_its_keys_and_heads() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("guild.db");
    let later = ImportContext {
        time: TimeSource::even(|| Timestamp(1_800_000_000_000)),
        ..importing()
    };
    let import = |lines: &str| import_file(&to, &later, &mut lines.as_bytes(), &mut |_, _| {});
    let altered = FORMAT_1.replacen("rent", "Rent", 1);
    let refused = import(&altered).expect_err("it was altered").to_string();
    assert!(
        refused.contains("its hash is not that of its content"),
        "{refused}"
    );
    let report = import(FORMAT_1).expect("it is imported");
    assert_eq!(report.records, 8);
    let head = "f9f4322149a6be0d36bbd16e68cdcf6149f04071dfa14d39002f5a5f8b50eef5";
    let seen: SeenHead = head.parse().expect("a head");
    let audit = audit_file(&to, &[seen], render, &mut |_, _| {}).expect("the audit runs");
    assert!(audit.ok, "{audit:#?}");
    let found = audit.heads.first().expect("one head");
    assert_eq!(
        found.seq,
        Some(8),
        "the earlier head is that of the last record"
    );
    let lock = FileLock::acquire(&to).expect("the lock");
    let file = OfflineFile::open(lock).expect("it opens");
    let stored = file.stored(&guild(), &name("t1")).expect("it is read");
    assert_eq!(stored.map(|stored| stored.status), Some(201));
    assert_eq!(posted(file.state(), "user:2"), 30);
    drop(file);
    let again = folder.path().join("again.db");
    let lines = exported(&to);
    let moved = import_file(&again, &later, &mut &*lines, &mut |_, _| {});
    assert_eq!(moved.expect("it is imported").head, report.head);
}

#[test]
fn an_opening_has_a_largest_number() {
    let (folder, _, lines) = rich_file();
    let new = folder.path().join("new.db");
    let text = String::from_utf8(lines).expect("text");
    for (epoch, too_large) in [(EPOCH_MAX, false), (EPOCH_MAX + 1, true)] {
        let altered = text.replacen(r#""epoch":1"#, &format!(r#""epoch":{epoch}"#), 1);
        // One that could be is not the one that the record's hash covers.
        let message = imported(&new, altered.as_bytes())
            .expect_err("altered")
            .to_string();
        assert_eq!(
            message.contains("an opening that cannot be"),
            too_large,
            "{message}"
        );
    }
}

#[test]
fn what_is_damaged_is_not_exported() {
    let (_folder, path, _) = rich_file();
    alter_records(&path, |record| {
        if record.id == 3 {
            record.actor = "another".into();
        }
    });
    let damaged = export_file(&path, &guild(), &mut |_| Ok(()), &mut |_, _| {});
    assert!(
        matches!(
            damaged,
            Err(ArchiveError::Storage(crate::StorageError::Damaged {
                record: 3,
                ..
            }))
        ),
        "{damaged:?}"
    );
}

#[test]
fn an_export_ends_when_its_lines_are_not_taken() {
    let (_folder, path, _) = rich_file();
    let mut taken = 0;
    let mut take = |_: Vec<u8>| {
        taken += 1;
        if taken > 1 {
            Err(std::io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(())
        }
    };
    let ended = export_file(&path, &guild(), &mut take, &mut |_, _| {});
    assert!(matches!(ended, Err(ArchiveError::Io(_))), "{ended:?}");
}

//! Listings of a file: every record as it was submitted, within the limits, up to the first damaged record.

use super::rich::furnish;
use super::*;

fn list(path: &Path, selection: &Selection) -> (Vec<ListedRecord>, Result<(), ListingError>) {
    let mut listed = Vec::new();
    let result = list_file(path, selection, &mut |record| {
        listed.push(record);
        Ok(())
    });
    (listed, result)
}

fn numbers(path: &Path, selection: &Selection) -> Vec<u64> {
    let (listed, result) = list(path, selection);
    result.expect("the file is read");
    listed.iter().map(|record| record.number).collect()
}

/// Returns a closed file with every kind of record.
fn rich(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    furnish(&storage);
    storage.close();
    path
}

#[test]
fn a_listed_transfer_says_what_was_submitted_and_what_it_moved() {
    let (_folder, path, storage) = open_guild();
    let pay = submission(Some("pay"), transfer("user:1", "user:2", 30));
    let request = pay.request.clone();
    let receiver = storage.submit(pay).expect("the queue has room");
    let reply = receiver.blocking_recv().expect("a reply");
    let answer = answered(reply.expect("no failure"));
    let head = storage.state().head(&guild()).expect("a head");
    storage.close();
    let (listed, result) = list(&path, &Selection::default());
    result.expect("the file is read");
    let record = listed.last().expect("a record");
    assert_eq!(record.number, 6);
    assert_eq!((record.economy.as_str(), record.seq), ("guild", 6));
    assert_eq!(
        (&*record.kind, record.outcome),
        ("transfer", Outcome::Applied)
    );
    assert_eq!(record.actor, "test");
    assert_eq!(record.idempotency_key.as_deref(), Some("pay"));
    assert_eq!(record.request, request.as_str());
    assert_eq!(record.status, answer.status);
    assert_eq!(record.answer.as_bytes(), &answer.body[..]);
    assert_eq!(record.hash, head);
    let before = listed.iter().rev().nth(1).expect("one before");
    assert_eq!(record.previous, before.hash);
    let [movement] = &record.movements[..] else {
        panic!("one movement: {:?}", record.movements);
    };
    let posting = &movement.posting;
    assert_eq!(posting.source, name("user:1"));
    assert_eq!(posting.destination, name("user:2"));
    assert_eq!(posting.asset, name("coin"));
    assert_eq!(posting.amount.get(), 30);
    assert_eq!(
        (movement.source_after, movement.destination_after),
        (70, 30)
    );
}

#[test]
fn every_record_is_listed_once_in_the_order_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    let (listed, result) = list(&path, &Selection::default());
    result.expect("the file is read");
    let stored = chained(&path);
    assert_eq!(listed.len(), stored.len());
    for (listed, (record, link)) in listed.iter().zip(&stored) {
        assert_eq!(listed.number, record.id);
        assert_eq!((&listed.economy, listed.seq), (&record.economy, record.seq));
        assert_eq!(
            (&listed.act, &listed.changes),
            (&record.act, &record.changes)
        );
        assert_eq!(listed.movements.len(), record.movements.len());
        assert_eq!((listed.previous, listed.hash), (link.previous, link.hash));
    }
}

#[test]
fn a_selection_begins_after_a_number_and_ends_at_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    let all = numbers(&path, &Selection::default());
    let last = all.len() as u64;
    assert_eq!(all, (1..=last).collect::<Vec<_>>());
    for (after, limit) in [
        (0, 0),
        (0, 1),
        (3, 4),
        (last - 1, 2),
        (last, 1),
        (u64::MAX, 1),
    ] {
        let selection = Selection {
            after,
            limit: Some(limit),
            ..Selection::default()
        };
        let expected: Vec<u64> = all
            .iter()
            .copied()
            .filter(|number| *number > after)
            .take(usize::try_from(limit).expect("few"))
            .collect();
        assert_eq!(numbers(&path, &selection), expected, "{selection:?}");
    }
}

#[test]
fn a_selection_of_an_economy_counts_by_its_own_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    let selection = Selection {
        economy: Some(guild()),
        after: 5,
        limit: Some(3),
    };
    let (listed, result) = list(&path, &selection);
    result.expect("the file is read");
    assert!(listed.iter().all(|record| record.economy == guild()));
    let seqs: Vec<u64> = listed.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [6, 7, 8]);
    let missing = Selection {
        economy: Some(name("other")),
        ..Selection::default()
    };
    let (listed, result) = list(&path, &missing);
    assert!(
        matches!(result, Err(ListingError::NoEconomy(_))),
        "{result:?}"
    );
    assert!(listed.is_empty());
}

#[test]
fn an_error_of_the_reader_ends_a_listing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    let mut taken = 0;
    let result = list_file(&path, &Selection::default(), &mut |_| {
        taken += 1;
        Err(std::io::ErrorKind::BrokenPipe.into())
    });
    assert!(matches!(result, Err(ListingError::Io(_))), "{result:?}");
    assert_eq!(taken, 1);
}

#[test]
fn the_records_before_a_damage_are_listed_and_the_error_names_the_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    alter_records(&path, |record| {
        if record.id == 8 {
            record.actor = "other".into();
        }
    });
    let (listed, result) = list(&path, &Selection::default());
    let error = result.expect_err("the file is damaged").to_string();
    assert!(error.contains("damaged at record 8"), "{error}");
    let numbers: Vec<u64> = listed.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..8).collect::<Vec<_>>());
    // A selection that ends before the damaged record succeeds.
    let before = Selection {
        limit: Some(7),
        ..Selection::default()
    };
    assert_eq!(list(&path, &before).0.len(), 7);
    list(&path, &before).1.expect("seven records are sound");
}

#[test]
fn a_damage_without_a_checkpoint_is_named_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    vandalise(
        &path,
        "DELETE FROM checkpoints; DELETE FROM checkpoint_pieces",
    );
    alter_records(&path, |record| {
        if record.id == 8 {
            record.changes = "[]".into();
        }
    });
    let (listed, result) = list(&path, &Selection::default());
    let error = result.expect_err("the file is damaged").to_string();
    assert!(error.contains("damaged at record 8"), "{error}");
    assert_eq!(listed.len(), 7);
}

#[test]
fn a_file_in_use_is_not_listed() {
    let (_folder, path, storage) = open_guild();
    let (listed, result) = list(&path, &Selection::default());
    let busy = matches!(
        result,
        Err(ListingError::Storage(StorageError::Busy { .. }))
    );
    assert!(busy && listed.is_empty(), "{result:?}");
    storage.close();
}

#[test]
fn a_listing_leaves_no_file_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = rich(&folder);
    let files = || {
        let entries = std::fs::read_dir(folder.path()).expect("the folder");
        let mut names: Vec<_> = entries
            .map(|it| it.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    assert!(!numbers(&path, &Selection::default()).is_empty());
    assert_eq!(files(), before);
}

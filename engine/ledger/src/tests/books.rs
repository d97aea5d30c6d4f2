//! The application of effects, and books as checkpoint entries.

use super::script::{World, id};
use crate::{
    Amount, ApplyError, Books, Change, CheckpointEntry, Decision, Digest, Movement, Posting, Seed,
    Timestamp,
};

const SETUP: &str = "
    asset coin
    account user:1
    account user:2
    issue user:1 coin 100";

fn movement(
    source: &str,
    destination: &str,
    source_after: i64,
    destination_after: i64,
) -> Movement {
    let posting = Posting {
        source: id(source),
        destination: id(destination),
        asset: id("coin"),
        amount: Amount::ONE,
    };
    Movement {
        part: 0,
        posting,
        source_after,
        destination_after,
    }
}

fn apply(movements: &[Movement], changes: &[Change]) -> Result<(), ApplyError> {
    let mut books = World::after(SETUP).books;
    let decision = Decision::recorded(movements.to_vec(), changes.to_vec());
    books.apply(&decision, 99, Timestamp(99)).map(drop)
}

#[test]
fn a_movement_must_match_its_recorded_balances() {
    let misfit = |account: &str| {
        Err(ApplyError::Balance {
            account: id(account),
            asset: id("coin"),
        })
    };
    assert!(apply(&[movement("user:1", "user:2", 99, 1)], &[]).is_ok());
    let wrong = |movement| apply(&[movement], &[]);
    assert_eq!(wrong(movement("user:1", "user:2", 98, 1)), misfit("user:1"));
    assert_eq!(wrong(movement("user:1", "user:2", 99, 2)), misfit("user:2"));
    assert_eq!(wrong(movement("user:9", "user:2", -1, 1)), misfit("user:9"));
    assert_eq!(wrong(movement("user:1", "user:9", 99, 1)), misfit("user:9"));
}

#[test]
fn state_needs_an_installed_plugin() {
    let set = Change::StateSet {
        plugin: id("shop"),
        key: "k".into(),
        value: "v".into(),
    };
    let deleted = Change::StateDeleted {
        plugin: id("shop"),
        key: "k".into(),
    };
    for change in [set, deleted] {
        let misfit = ApplyError::Plugin { plugin: id("shop") };
        assert_eq!(apply(&[], &[change]), Err(misfit));
    }
}

#[test]
fn the_changes_of_a_record_come_before_its_movements() {
    let account = Change::AccountSet {
        account: id("user:9"),
        status: crate::AccountStatus::Open,
        limits: crate::LimitsChange::default(),
        metadata: None,
    };
    assert!(apply(&[movement("user:1", "user:9", 99, 1)], &[account]).is_ok());
}

#[test]
fn a_clone_of_the_books_never_changes() {
    let mut world = World::after(SETUP);
    let snapshot = world.books.clone();
    world.run("issue user:1 coin 1; account user:3; patch coin name=Crown");
    assert_eq!(snapshot, World::after(SETUP).books);
    assert_ne!(snapshot, world.books);
}

#[test]
fn sealing_closes_a_record() {
    let mut books = Books::new(Seed::new([1; 32]), Timestamp(5));
    assert_eq!((books.seq(), books.head()), (0, Digest::ZERO));
    assert_eq!(books.recorded_at(), Timestamp(5));
    books.seal(1, Timestamp(6), Digest::of(b"record"));
    assert_eq!((books.seq(), books.head()), (1, Digest::of(b"record")));
    assert_eq!(books.recorded_at(), Timestamp(6));
    assert_eq!(books.opened_at(), Timestamp(5));
}

/// An entry out of place or a repeated one means that a checkpoint was altered.
#[test]
fn each_checkpoint_entry_is_restored_once_and_in_its_place() {
    let world = World::after(
        "asset coin
         account user:1
         plugin shop component=a enabled=true
         call A shop user:1
         A set k v
         A reply",
    );
    let items: Vec<CheckpointEntry> = world.books.clone().into_entries().collect();
    for item in &items {
        let opens = matches!(item, CheckpointEntry::Economy { .. });
        assert_eq!(Books::restore(&mut None, item.clone()), opens, "{item:?}");
    }
    let mut books = None;
    for item in &items {
        assert!(Books::restore(&mut books, item.clone()), "{item:?}");
        assert!(!Books::restore(&mut books, item.clone()), "{item:?}");
    }
    assert_eq!(books, Some(world.books.clone()));

    let stray = CheckpointEntry::State(id("none"), "k".into(), "v".into());
    assert!(!Books::restore(&mut books, stray));
}

#[test]
fn holders_are_ranked_and_cut_at_their_number() {
    let books = World::after(
        "asset coin
         account user:1
         account user:2 credit_limit=coin/5
         account user:3
         account user:4
         account user:5
         plugin shop component=a
         issue user:1 coin 10
         issue user:3 coin 20
         issue user:4 coin 10
         issue plugin:shop coin 99
         transfer user:2 -> user:4 coin 5
         transfer user:4 -> user:3 coin 5",
    )
    .books;
    let ranked = |most: usize| {
        let holders = books.holders(&id("coin"), most).into_iter();
        holders
            .map(|(id, posted)| format!("{id} {posted}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(ranked(10), ["user:3 25", "user:1 10", "user:4 10"]);
    assert_eq!(ranked(2), ["user:3 25", "user:1 10"]);
    assert_eq!(ranked(0), [""; 0]);
}

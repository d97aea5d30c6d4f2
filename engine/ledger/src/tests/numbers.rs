//! Numbers of accounts and assets: assigned in the order of creation, and kept by checkpoints and replays.

use std::sync::Arc;

use proptest::prelude::*;

use super::history::{history, play};
use super::script::{World, id};
use crate::limits::{ACCOUNTS_QUOTA_MAX, ASSETS_QUOTA_MAX};
use crate::{
    AccountId, AccountNumber, Amount, ApplyError, AssetId, AssetNumber, Books, CheckpointEntry,
    Digest, NumberedMovement, Timestamp, check,
};

const SETUP: &str = "
    account user:9
    asset gem
    account user:1
    asset coin
    plugin shop component=a enabled=true
    account user:5
    issue user:1 coin 100";

fn accounts(books: &Books) -> Vec<&str> {
    let numbers = (0..).map(|number| books.account_name(AccountNumber(number)));
    let names = numbers.map_while(|name| name.map(AccountId::as_str));
    names.collect()
}

fn assets(books: &Books) -> Vec<&str> {
    let numbers = (0..).map(|number| books.asset_name(AssetNumber(number)));
    let names = numbers.map_while(|name| name.map(AssetId::as_str));
    names.collect()
}

/// Restores entries; none if one does not fit.
fn restore(entries: impl IntoIterator<Item = CheckpointEntry>) -> Option<Books> {
    let mut books = None;
    let mut entries = entries.into_iter();
    let fit = entries.all(|entry| Books::restore(&mut books, entry));
    books.filter(|_| fit)
}

/// Restores the entries of books in which some accounts have other numbers.
fn restore_with(books: &Books, number: impl Fn(&str, u32) -> u32) -> Option<Books> {
    let entries = books.clone().into_entries().map(|mut entry| {
        if let CheckpointEntry::Account(name, account) = &mut entry {
            let account = Arc::make_mut(account);
            account.number = AccountNumber(number(name.as_str(), account.number.0));
        }
        if let CheckpointEntry::Asset(name, _, is) = &mut entry {
            *is = AssetNumber(number(name.as_str(), is.0));
        }
        entry
    });
    restore(entries)
}

#[test]
fn numbers_count_the_accounts_and_assets_in_the_order_of_creation() {
    let books = World::after(SETUP).books;
    let names = [
        "user:9",
        "issuer:gem",
        "user:1",
        "issuer:coin",
        "plugin:shop",
        "user:5",
    ];
    assert_eq!(accounts(&books), names);
    assert_eq!(assets(&books), ["gem", "coin"]);
    for (number, name) in (0..).zip(names) {
        assert_eq!(books.account_number(&id(name)), Some(AccountNumber(number)));
    }
    assert_eq!(books.asset_number(&id("coin")), Some(AssetNumber(1)));
    assert_eq!(books.account_number(&id("user:2")), None);
    assert_eq!(books.asset_number(&id("dust")), None);
    assert!(books.is_complete());
}

#[test]
fn a_change_of_what_exists_assigns_no_number() {
    let mut world = World::after(SETUP);
    let before = accounts(&world.books).len();
    world.run(
        "patch coin name=Crown
         account user:9 frozen
         plugin shop component=b
         transfer user:1 -> user:5 coin 5",
    );
    assert_eq!(accounts(&world.books).len(), before);
    assert_eq!(assets(&world.books).len(), 2);
}

#[test]
fn a_number_without_an_account_or_asset_is_refused() {
    let mut books = World::after(SETUP).books;
    let movement = NumberedMovement {
        part: 0,
        source: AccountNumber(2),
        destination: AccountNumber(5),
        asset: AssetNumber(1),
        amount: Amount::ONE,
        source_after: 99,
        destination_after: 1,
    };
    let replayed =
        |movement: NumberedMovement| books.clone().replay(&[], &[movement], 99, Timestamp(99));
    let number = AccountNumber(6);
    let unknown = Err(ApplyError::AccountNumber { number });
    assert_eq!(replayed(movement), Ok(()));
    for beyond in [
        NumberedMovement {
            source: number,
            ..movement
        },
        NumberedMovement {
            destination: number,
            ..movement
        },
    ] {
        assert_eq!(replayed(beyond), unknown);
        assert_eq!(books.name_movement(&beyond), None);
    }
    let number = AssetNumber(2);
    let beyond = NumberedMovement {
        asset: number,
        ..movement
    };
    assert_eq!(replayed(beyond), Err(ApplyError::AssetNumber { number }));
    assert_eq!(books.name_movement(&beyond), None);

    let named = books.name_movement(&movement).expect("it is known");
    assert_eq!(named.posting.destination, id("user:5"));
    assert_eq!(books.number_movement(&named), Some(movement));
    books.accounts.remove(&named.posting.source);
    assert_eq!(books.number_movement(&named), None);
}

#[test]
fn a_number_that_occurs_twice_does_not_fit() {
    let books = World::after(SETUP).books;
    assert_eq!(restore_with(&books, |_, is| is), Some(books.clone()));
    let twice = |of: &'static str| move |name: &str, is: u32| if name == of { 0 } else { is };
    assert_eq!(restore_with(&books, twice("user:5")), None);
    assert_eq!(restore_with(&books, twice("coin")), None);
}

#[test]
fn a_number_beyond_the_highest_quota_does_not_fit() {
    let books = World::after("asset coin; account user:1").books;
    let with = |of: &'static str, number: u64| {
        let number = u32::try_from(number).expect("32 bits");
        restore_with(&books, move |name, is| if name == of { number } else { is })
    };
    let highest = with("coin", ASSETS_QUOTA_MAX - 1).expect("it fits");
    assert!(!highest.is_complete());
    assert_eq!(with("coin", ASSETS_QUOTA_MAX), None);
    assert_eq!(with("user:1", ACCOUNTS_QUOTA_MAX), None);
}

#[test]
fn books_without_one_of_their_accounts_are_not_complete() {
    let books = World::after(SETUP).books;
    let without = |name: &str| {
        let entries = books.clone().into_entries();
        let others = entries.filter(|entry| {
            !matches!(entry, CheckpointEntry::Account(of, _) if of.as_str() == name)
                && !matches!(entry, CheckpointEntry::Asset(of, ..) if of.as_str() == name)
        });
        restore(others).expect("the others fit")
    };
    assert!(without("none").is_complete());
    assert!(!without("user:1").is_complete());
    assert!(!check(&without("user:1")).is_empty());
    assert!(!without("gem").is_complete());
}

proptest! {
    #[test]
    fn entries_in_any_order_restore_the_numbers(
        steps in history(),
        keys in proptest::collection::vec(any::<u32>(), 64),
    ) {
        let books = play(&steps, |_, _, _, _| {}).books;
        let is_numbered = |entry: &CheckpointEntry| {
            matches!(entry, CheckpointEntry::Account(..) | CheckpointEntry::Asset(..))
        };
        let entries = books.clone().into_entries();
        let (mut numbered, others): (Vec<_>, Vec<_>) = entries.partition(is_numbered);
        let mut keys = keys.iter().cycle();
        numbered.sort_by_cached_key(|_| keys.next());
        let restored = restore(others.into_iter().chain(numbered));
        prop_assert!(restored.as_ref().is_some_and(Books::is_complete));
        prop_assert_eq!(restored, Some(books));
    }

    #[test]
    fn numbered_movements_replay_to_equal_books(steps in history()) {
        let world = play(&steps, |_, _, _, _| {});
        let mut applied = World::blank();
        let mut replayed = World::blank().books;
        for decision in &world.decisions {
            applied.apply(decision.clone());
            let books = &applied.books;
            let movements = decision.movements().iter();
            let numbered = movements.map(|movement| {
                let numbered = books.number_movement(movement).expect("it was applied");
                assert_eq!(books.name_movement(&numbered).as_ref(), Some(movement));
                numbered
            });
            let numbered: Vec<NumberedMovement> = numbered.collect();
            let seq = books.seq();
            let at = books.recorded_at();
            let done = replayed.replay(decision.changes(), &numbered, seq, at);
            prop_assert_eq!(done, Ok(()));
            replayed.seal(seq, at, Digest::of(&seq.to_be_bytes()));
        }
        prop_assert_eq!(&replayed, &applied.books);
        prop_assert_eq!(accounts(&replayed), accounts(&world.books));
        prop_assert_eq!(accounts(&replayed).len(), replayed.accounts().len());
        prop_assert_eq!(assets(&replayed).len(), replayed.assets().len());
    }
}

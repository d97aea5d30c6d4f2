//! Holds: what is reserved cannot be spent, and is captured at most once.

use expect_test::expect;

use super::script::{World, check, id};
use crate::books::open_holds::OpenHolds;
use crate::{AccountId, ApplyError, HOLD_SECONDS_MAX, HoldId};

const SETUP: &str = "
    asset coin
    account user:1 credit_limit=coin/5
    account user:2
    account user:3 ceiling=coin/20
    issue user:1 coin 100";

fn after_setup(script: &str, expected: &expect_test::Expect) {
    check(&format!("{SETUP}\n{script}"), expected);
}

#[test]
fn held_amounts_cannot_be_spent() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 60
         balance user:1 coin
         transfer user:1 -> user:2 coin 46
         hold 2 user:1 -> user:2 coin 46
         transfer user:1 -> user:2 coin 45
         transfer user:1 -> user:2 coin 1
         balance user:1 coin
         violations",
        &expect![[r#"
            balance user:1 coin: 100, held 60
            transfer user:1 -> user:2 coin 46: `user:1` can spend 45 coin, and 46 are required
            hold 2 user:1 -> user:2 coin 46: `user:1` can spend 45 coin, and 46 are required
            transfer user:1 -> user:2 coin 1: `user:1` can spend 0 coin, and 1 are required
            balance user:1 coin: 55, held 60
            violations: none
        "#]],
    );
}

#[test]
fn hold_is_captured_in_parts_up_to_its_amount() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 60
         capture 1 61
         capture 1 20
         balance user:1 coin
         capture 1 41
         capture 1 39
         balance user:1 coin
         capture 1
         balance user:1 coin
         balance user:2 coin
         capture 1
         release 1
         violations",
        &expect![[r#"
            capture 1 61: 60 are left of the hold 00000000-0000-0000-0000-000000000001, and 61 were requested
            balance user:1 coin: 80, held 40
            capture 1 41: 40 are left of the hold 00000000-0000-0000-0000-000000000001, and 41 were requested
            balance user:1 coin: 41, held 1
            balance user:1 coin: 40
            balance user:2 coin: 60
            capture 1: the hold 00000000-0000-0000-0000-000000000001 has ended
            release 1: the hold 00000000-0000-0000-0000-000000000001 has ended
            violations: none
        "#]],
    );
}

#[test]
fn released_amount_can_be_spent_again() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 105
         capture 1 5
         release 1
         release 1
         transfer user:1 -> user:2 coin 100
         balance user:1 coin",
        &expect![[r#"
            release 1: changed
            release 1: the hold 00000000-0000-0000-0000-000000000001 has ended
            balance user:1 coin: -5
        "#]],
    );
}

#[test]
fn an_overdue_hold_is_not_captured_even_if_it_is_still_open() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 60 for=10
         expire 1
         wait 10
         capture 1
         expire 1
         balance user:1 coin
         capture 1 ended=expired
         expire 1",
        &expect![[r#"
            expire 1: the hold 00000000-0000-0000-0000-000000000001 has ended
            capture 1: the hold 00000000-0000-0000-0000-000000000001 has ended
            expire 1: changed
            balance user:1 coin: 100
            capture 1 ended=expired: the hold 00000000-0000-0000-0000-000000000001 has ended
            expire 1: the hold 00000000-0000-0000-0000-000000000001 has ended
        "#]],
    );
}

#[test]
fn the_rest_of_an_expired_hold_is_captured_by_its_rule() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 60 for=10 on_expiry=capture
         capture 1 10
         wait 10
         expire 1
         balance user:1 coin
         balance user:2 coin",
        &expect![[r#"
            balance user:1 coin: 40
            balance user:2 coin: 60
        "#]],
    );
}

#[test]
fn capture_into_a_full_frozen_or_closed_account_is_refused_and_the_hold_stays() {
    after_setup(
        "hold 1 user:1 -> user:3 coin 30
         capture 1
         capture 1 20
         account user:3 status=frozen
         capture 1 1
         account user:1 status=closed
         account user:1 status=frozen
         account user:3 status=open
         capture 1 1
         release 1
         balance user:1 coin
         balance user:3 coin",
        &expect![[r#"
            capture 1: `user:3` may hold 20 coin, has 0, and would receive 30
            account user:3 status=frozen: changed
            capture 1 1: `user:3` is frozen
            account user:1 status=closed: `user:1` has 80 coin: an account is closed only when it is empty
            account user:1 status=frozen: changed
            account user:3 status=open: changed
            capture 1 1: `user:1` is frozen
            release 1: changed
            balance user:1 coin: 80
            balance user:3 coin: 20
        "#]],
    );
}

#[test]
fn a_failed_capture_at_expiry_is_retried_at_growing_intervals() {
    let mut world = World::after(SETUP);
    world.run("hold 1 user:1 -> user:3 coin 30 for=10 on_expiry=capture; wait 10");
    let mut waits = Vec::new();
    for _ in 0..14 {
        world.run("expire 1");
        let next = world.books.next_due().expect("the hold is open").0;
        waits.push((next - world.books.recorded_at().0) / 1000);
        world.run(&format!("wait {}", waits[waits.len() - 1] + 1));
    }
    assert_eq!((waits[0], waits[13]), (60, 86_400));
    // The pause equals the time since the expiry.
    assert_eq!(waits[..6], [60, 61, 123, 247, 495, 991]);
    assert!(waits.is_sorted());
    world.output.clear();
    world.run("account user:3 ceiling=coin/30; expire 1; balance user:3 coin; violations");
    expect![[r#"
        account user:3 ceiling=coin/30: changed
        balance user:3 coin: 30
        violations: none
    "#]]
    .assert_eq(&world.output);
}

/// A lowered limit does not reject the capture of a reserved amount, but no request takes an account below
/// its floor.
#[test]
fn captured_amounts_do_not_break_the_floor() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 50
         hold 2 user:1 -> user:2 coin 55
         account user:1 credit_limit=coin/0
         capture 1
         capture 2
         capture 2 50
         balance user:1 coin
         violations",
        &expect![[r#"
            account user:1 credit_limit=coin/0: changed
            capture 2: `user:1` can spend 50 coin, and 55 are required
            balance user:1 coin: 0, held 5
            violations: user:1 holds 5 of 0 coin
        "#]],
    );
}

#[test]
fn holds_name_no_issuer_and_take_from_no_plugin() {
    after_setup(
        "plugin shop component=a enabled=true
         issue plugin:shop coin 5
         hold 1 issuer:coin -> user:1 coin 1
         hold 1 user:1 -> issuer:coin coin 1
         hold 1 plugin:shop -> user:1 coin 1
         hold 1 user:1 -> user:9 coin 1
         hold 1 user:1 -> user:2 gem 1
         hold 1 user:1 -> plugin:shop coin 1",
        &expect![[r#"
            hold 1 issuer:coin -> user:1 coin 1: `issuer:coin` is an issuer: use issue or burn
            hold 1 user:1 -> issuer:coin coin 1: `issuer:coin` is an issuer: use issue or burn
            hold 1 plugin:shop -> user:1 coin 1: `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
            hold 1 user:1 -> user:9 coin 1: the economy has no account `user:9`
            hold 1 user:1 -> user:2 gem 1: the economy has no asset `gem`
        "#]],
    );
}

#[test]
fn only_an_admin_places_captures_and_releases_holds_on_a_plugins_account() {
    after_setup(
        "plugin shop component=a enabled=true
         issue plugin:shop coin 5
         hold 1 plugin:shop -> user:2 coin 2 by=admin
         capture 1 1
         release 1
         capture 1 1 by=admin
         release 1 by=admin
         balance plugin:shop coin",
        &expect![[r#"
            capture 1 1: `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
            release 1: `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
            release 1 by=admin: changed
            balance plugin:shop coin: 4
        "#]],
    );
}

#[test]
fn a_key_captures_no_more_than_its_cap() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 20 cap=coin/19
         hold 1 user:1 -> user:2 coin 20 cap=coin/20
         capture 1 10 cap=coin/9
         capture 1 10 cap=coin/10
         capture 1 cap=coin/9
         capture 1 cap=coin/10
         balance user:2 coin",
        &expect![[r#"
            hold 1 user:1 -> user:2 coin 20 cap=coin/19: this key moves at most 19 coin in one request, and 20 were requested
            capture 1 10 cap=coin/9: this key moves at most 9 coin in one request, and 10 were requested
            capture 1 cap=coin/9: this key moves at most 9 coin in one request, and 10 were requested
            balance user:2 coin: 20
        "#]],
    );
}

#[test]
fn hold_ends_after_a_leap_year_at_the_latest() {
    let mut world = World::after(SETUP);
    let longest = HOLD_SECONDS_MAX;
    let beyond = longest + 1;
    world.run(&format!("hold 1 user:1 -> user:2 coin 1 for={longest}"));
    let placed = world.books.recorded_at().0;
    assert_eq!(
        world.books.next_due().map(|due| due.0),
        Some(placed + longest * 1000)
    );
    world.run(&format!(
        "release 1; hold 2 user:1 -> user:2 coin 1 for={beyond}"
    ));
    let placed = world.books.recorded_at().0;
    assert_eq!(
        world.books.next_due().map(|due| due.0),
        Some(placed + longest * 1000)
    );
}

#[test]
fn holds_are_found_by_account_by_id_and_by_the_time_that_they_are_due() {
    let mut world = World::after(SETUP);
    world.run(
        "issue user:2 coin 100
         hold 1 user:1 -> user:2 coin 1 for=30
         hold 2 user:2 -> user:1 coin 1 for=10
         hold 3 user:1 -> user:2 coin 1 for=20
         hold 4 user:1 -> user:2 coin 1 for=20",
    );
    let books = &world.books;
    let number = |hold: HoldId| hold.0.as_u128();
    let one: AccountId = id("user:1");
    let two: AccountId = id("user:2");
    let of = |source: Option<&AccountId>, after: Option<u128>| {
        let after = after.map(|after| HoldId(uuid::Uuid::from_u128(after)));
        books
            .holds_after(source, after)
            .map(|(hold, _)| number(hold))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(None, None), [1, 2, 3, 4]);
    assert_eq!(of(None, Some(2)), [3, 4]);
    assert_eq!(of(Some(&one), None), [1, 3, 4]);
    assert_eq!(of(Some(&one), Some(1)), [3, 4]);
    assert_eq!(of(Some(&two), Some(2)), []);
    let at = |seconds: u64| crate::Timestamp(world.at().0 + seconds * 1000);
    let due = |seconds| books.holds_due(at(seconds)).map(number).collect::<Vec<_>>();
    assert_eq!(due(0), []);
    assert_eq!(due(20), [2, 3, 4]);
    assert_eq!(due(60), [2, 3, 4, 1]);
    let first = books.first_due().expect("holds are open");
    assert_eq!(number(first.1), 2);
    assert_eq!(Some(first.0), books.next_due());
}

/// A record that places an existing hold belongs to other books.
#[test]
fn a_hold_that_is_placed_twice_does_not_fit() {
    let mut world = World::after(SETUP);
    world.run("hold 1 user:1 -> user:2 coin 1");
    let placed = world.decisions.last().expect("a record").clone();
    let hold = HoldId(uuid::Uuid::from_u128(1));
    let mut books = world.books.clone();
    let seq = books.seq() + 1;
    let at = world.at();
    assert_eq!(
        books.apply(&placed, seq, at),
        Err(ApplyError::Hold { hold })
    );
}

/// An empty account may still have reserved credit.
#[test]
fn an_account_with_an_open_hold_is_not_closed() {
    after_setup(
        "account user:4 credit_limit=coin/10
         hold 1 user:4 -> user:2 coin 5
         account user:4 status=closed
         release 1
         account user:4 status=closed",
        &expect![[r#"
            account user:4 status=closed: `user:4` has 0 coin: an account is closed only when it is empty
            release 1: changed
            account user:4 status=closed: changed
        "#]],
    );
}

/// Ended holds are removed from each index.
#[test]
fn ended_holds_leave_every_index() {
    let mut world = World::after(SETUP);
    world.run(
        "hold 1 user:1 -> user:2 coin 10; hold 2 user:1 -> user:2 coin 10 for=10
         capture 1 4; capture 1; wait 10; expire 2",
    );
    assert_eq!(world.books.holds, OpenHolds::default());
}

//! The millisecond in which the time of a hold is over, and the one before it.

use expect_test::expect;

use super::script::World;

/// Creates a hold of ten seconds, one millisecond before its expiry once the next act is recorded.
fn before_its_end(place: &str) -> World {
    let mut world = World::after(
        "asset coin
         account user:1
         account user:2
         plugin game component=a grants=requested enabled=true holds=stake/10/capture
         issue user:1 coin 100",
    );
    world.run(place);
    let expires = world.books.next_due().expect("a hold is open");
    let left = expires.0 - world.at().0;
    world.run(&format!("wait_ms {}", left - 1));
    assert_eq!(world.at().0, expires.0 - 1);
    world.output.clear();
    world
}

const PLACE: &str = "hold 1 user:1 -> user:2 coin 30 for=10";

#[test]
fn a_hold_is_captured_until_the_millisecond_before_it_expires() {
    let mut world = before_its_end(PLACE);
    world.run("capture 1 10; capture 1 10; balance user:2 coin");
    expect![[r#"
        capture 1 10: the hold 00000000-0000-0000-0000-000000000001 has ended
        balance user:2 coin: 10
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn a_hold_expires_in_the_millisecond_in_which_its_time_is_over() {
    let mut world = before_its_end(PLACE);
    assert_eq!(world.books.holds_due(world.at()).count(), 0);
    world.run("expire 1; wait_ms 1");
    assert_eq!(world.books.holds_due(world.at()).count(), 1);
    world.run("expire 1; balance user:1 coin");
    expect![[r#"
        expire 1: the hold 00000000-0000-0000-0000-000000000001 has ended
        expire 1: changed
        balance user:1 coin: 100
    "#]]
    .assert_eq(&world.output);
}

/// A hold expires for the game in the same millisecond as for the ledger.
#[test]
fn a_plugin_has_its_stake_until_the_millisecond_before_it_expires() {
    let mut world =
        before_its_end("call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply");
    world.run(
        "call B game user:1; B left A/0
         wait_ms 1
         call C game user:1; C left A/0; C release A/0; C keep A/0
         expire A/0
         balance user:1 coin",
    );
    expect![[r#"
        B left A/0: 10 left
        C left A/0: ended
        C release A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
        C keep A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
        balance user:1 coin: 90
    "#]]
    .assert_eq(&world.output);
}

/// A call that saw its stake a millisecond before it expired does not capture it a millisecond later.
#[test]
fn a_stake_that_expired_during_the_call_is_not_captured() {
    let mut world =
        before_its_end("call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply");
    world.run("call B game user:1; B capture A/0; wait_ms 1; B reply; balance user:1 coin");
    expect![[r#"
        B reply: stale
        balance user:1 coin: 100, held 10
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn a_run_starts_in_the_millisecond_in_which_it_is_due() {
    let mut world = World::after(
        "plugin game component=a grants=requested enabled=true schedules=deal/60/catch_up",
    );
    let wait = 60_000 - 1 - world.at().0;
    world.run(&format!("wait_ms {wait}"));
    assert_eq!(world.at().0, 59_999);
    world.run("call A game plugin:game due=60000 action=deal; A reply; due game; wait_ms 1");
    assert_eq!(world.at().0, 60_000);
    world.run("call A game plugin:game due=60000 action=deal; A reply; due game");
    expect![[r#"
        A reply: stale
        due game: deal at 60000
        A reply: committed
        due game: deal at 120000
    "#]]
    .assert_eq(&world.output);
}

//! Fair draws: a draw is never discarded, and it never decides if a bet counts.

use expect_test::expect;

use super::script::{World, check};
use crate::Books;

/// A member and a game's own account with 100 coins each, and a game whose stakes are captured when they expire.
const GAME: &str = "
    asset coin
    account user:1
    account user:2
    plugin game component=a grants=requested enabled=true holds=stake/60/capture,gift/60/release
    issue user:1 coin 100
    issue plugin:game coin 100
";

pub(super) fn check_game(script: &str, expected: &expect_test::Expect) {
    check(&format!("{GAME}{script}"), expected);
}

#[test]
fn a_member_with_no_money_draws_nothing() {
    check_game(
        "call A game user:2
         A pay user:2 -> plugin:game coin 10
         A secure plugin:game coin 20
         A draw 2
         A stop
         seeds
         balance user:2 coin",
        &expect![[r#"
            A draw 2: ends, `user:2` can spend 0 coin, and 10 are required
            A stop: `user:2` can spend 0 coin, and 10 are required
            seeds: seed 1, 0 draws, hidden from 1, next nonce 1, open []
            balance user:2 coin: 0
        "#]],
    );
}

#[test]
fn a_member_who_has_spent_the_stake_meanwhile_is_refused_and_the_nonce_is_used_up() {
    check_game(
        "call A game user:1
         A pay user:1 -> plugin:game coin 10
         A draw 2
         transfer user:1 -> user:2 coin 95
         A reply
         call A game user:1
         A pay user:1 -> plugin:game coin 10
         A draw 2
         A stop
         seeds
         balance user:1 coin",
        &expect![[r#"
            A draw 2: drew 0
            A reply: stale
            A draw 2: ends, `user:1` can spend 5 coin, and 10 are required
            A stop: on record, `user:1` can spend 5 coin, and 10 are required
            seeds: seed 1, 0 draws, hidden from 1, next nonce 2, open []
            balance user:1 coin: 5
        "#]],
    );
}

#[test]
fn a_fault_after_a_draw_is_void_and_the_third_switches_the_game_off() {
    check_game(
        "call A game user:1
         A pay user:1 -> plugin:game coin 10
         A draw 2
         A set lost 1
         A fault
         balance user:1 coin
         state game
         call B game user:1; B draw 2; B fault
         call C game user:1; C fault
         call D game user:1; D draw 2; D fault
         call E game user:1
         seeds
         plugin game enabled=true
         call F game user:1; F draw 2; F reply",
        &expect![[r#"
            A draw 2: drew 0
            A fault: faulted
            balance user:1 coin: 100
            state game: none
            B draw 2: drew 0
            B fault: faulted
            C fault: faulted
            D draw 2: drew 1
            D fault: faulted
            call E game user:1: not run, the plugin `game` is disabled
            seeds: seed 1, 3 draws, hidden from 1, next nonce 4, open []
            plugin game enabled=true: changed
            F draw 2: drew 1
            F reply: committed
        "#]],
    );
}

/// A busy machine does not count against a plugin; an abort that the plugin can cause does.
#[test]
fn an_abort_that_the_plugin_can_cause_counts_as_a_fault() {
    check_game(
        "call A game user:1; A draw 2; A break
         call B game user:1; B draw 2; B break plugin
         call C game user:1; C draw 2; C break plugin
         call D game user:1; D draw 2; D break plugin
         call E game user:1",
        &expect![[r#"
            A draw 2: drew 0
            A break: broken
            B draw 2: drew 0
            B break plugin: broken
            C draw 2: drew 1
            C break plugin: broken
            D draw 2: drew 1
            D break plugin: broken
            call E game user:1: not run, the plugin `game` is disabled
        "#]],
    );
}

/// A restart must not give a plugin three more faults.
#[test]
fn faults_after_a_draw_come_back_from_a_checkpoint() {
    let call = "call A game user:1; A draw 2; A break plugin";
    let world = World::after(&format!("{GAME}{call}"));
    let mut restored = None;
    for entry in world.books.clone().into_entries() {
        let text = serde_json::to_string(&entry).expect("an entry is JSON");
        let entry = serde_json::from_str(&text).expect("JSON is an entry");
        assert!(Books::restore(&mut restored, entry));
    }
    assert_eq!(restored, Some(world.books));
}

/// The game cannot go on, so a member must not lose the stake by waiting.
#[test]
fn stakes_are_released_when_a_game_was_switched_off_for_its_faults() {
    check_game(
        "call S game user:1; S hold stake user:1 -> plugin:game coin 10; S reply
         call A game user:1; A draw 2; A fault
         call B game user:1; B draw 2; B fault
         call C game user:1; C draw 2; C fault
         wait 60
         expire S/0
         balance user:1 coin
         balance plugin:game coin
         plugin game enabled=true
         call T game user:1; T hold stake user:1 -> plugin:game coin 10; T reply
         wait 60
         expire T/0
         balance user:1 coin
         violations",
        &expect![[r#"
            S reply: committed
            A draw 2: drew 0
            A fault: faulted
            B draw 2: drew 0
            B fault: faulted
            C draw 2: drew 1
            C fault: faulted
            expire S/0: changed
            balance user:1 coin: 100
            balance plugin:game coin: 100
            plugin game enabled=true: changed
            T reply: committed
            balance user:1 coin: 90
            violations: none
        "#]],
    );
}

/// State beyond the quota after a draw counts as a fault, so that a game cannot undo a loss by writing too much.
#[test]
fn state_beyond_the_quota_after_a_draw_counts_as_a_fault() {
    check_game(
        "call A game user:1
         A pay user:1 -> plugin:game coin 10
         A draw 2
         A set k x*1048576
         A reply
         balance user:1 coin
         seeds
         call B game user:1; B draw 2; B fault
         call C game user:1; C draw 2; C fault
         call D game user:1",
        &expect![[r#"
            A draw 2: drew 0
            A reply: on record, the plugin `game` would keep 1048577 bytes of state, of at most 1048576
            balance user:1 coin: 100
            seeds: seed 1, 1 draws, hidden from 1, next nonce 2, open []
            B draw 2: drew 0
            B fault: faulted
            C draw 2: drew 1
            C fault: faulted
            call D game user:1: not run, the plugin `game` is disabled
        "#]],
    );
}

/// State that is written before a draw is checked against the quota before it, so no game is switched off for it.
#[test]
fn state_beyond_the_quota_ends_a_call_before_its_draw() {
    check_game(
        "call A game user:1
         A set k x*1048575
         A draw 2
         A reply
         call B game user:1
         B set l x
         B draw 2
         B stop
         seeds",
        &expect![[r#"
            A draw 2: drew 0
            A reply: committed
            B draw 2: ends, the plugin `game` would keep 1048578 bytes of state, of at most 1048576
            B stop: the plugin `game` would keep 1048578 bytes of state, of at most 1048576
            seeds: seed 1, 1 draws, hidden from 1, next nonce 2, open []
        "#]],
    );
}

#[test]
fn an_aborted_call_gets_the_same_draws_again_under_its_key() {
    check_game(
        "call A game user:1
         A draw 1000000
         A break
         seeds
         client_seed user:1 other
         call B game user:1; B draw 1000000; B reply
         call A game user:1
         A draw 1000000
         A reply
         seeds
         call A game user:1
         A draw 1000000",
        &expect![[r#"
            A draw 1000000: drew 94880
            A break: broken
            seeds: seed 1, 1 draws, hidden from 1, next nonce 2, open []
            client_seed user:1 other: changed
            B draw 1000000: drew 157925
            B reply: committed
            A draw 1000000: drew 94880
            A reply: committed
            seeds: seed 1, 3 draws, hidden from 1, next nonce 3, open []
            A draw 1000000: drew 760219
        "#]],
    );
}

#[test]
fn a_stake_that_was_secured_is_captured_or_released_after_the_draw() {
    check_game(
        "call A game user:1
         A hold stake user:1 -> plugin:game coin 10
         A hold stake plugin:game -> user:1 coin 15
         A reply
         call B game user:1
         B keep A/0
         B draw 52
         B capture A/1
         B capture A/0 11
         B capture A/0 4
         B release A/0
         B capture A/0
         B hold stake user:1 -> plugin:game coin 1
         B keep A/1
         B reply
         balance user:1 coin
         balance plugin:game coin",
        &expect![[r#"
            A reply: committed
            B draw 52: drew 8
            B capture A/1: refused, the amount exceeds what was secured
            B capture A/0 11: refused, 10 are left of the hold 559aead0-8264-d579-5d39-09718cdd05aa
            B capture A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B hold stake user:1 -> plugin:game coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            B keep A/1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            B reply: committed
            balance user:1 coin: 96
            balance plugin:game coin: 104, held 15
        "#]],
    );
}

#[test]
fn a_fault_after_a_draw_gives_the_secured_stake_back_and_one_before_it_does_not() {
    check_game(
        "call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply
         call B game user:1; B keep A/0; B fault
         balance user:1 coin
         call C game user:1; C keep A/0; C draw 2; C fault
         balance user:1 coin
         violations",
        &expect![[r#"
            A reply: committed
            B fault: faulted
            balance user:1 coin: 100, held 10
            C draw 2: drew 0
            C fault: faulted
            balance user:1 coin: 100
            violations: none
        "#]],
    );
}

#[test]
fn an_expired_stake_cannot_be_released_or_secured() {
    check_game(
        "call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply
         wait 60
         call B game user:1
         B left A/0
         B release A/0
         B capture A/0
         B keep A/0
         B reply
         balance user:1 coin
         violations",
        &expect![[r#"
            A reply: committed
            B left A/0: ended
            B release A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B capture A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B keep A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B reply: committed
            balance user:1 coin: 100, held 10
            violations: none
        "#]],
    );
}

#[test]
fn room_for_secured_amounts_and_holds_is_reserved() {
    check_game(
        "account user:1 ceiling=coin/110
         call A game user:1
         A secure plugin:game coin 11
         A hold stake plugin:game -> user:1 coin 11
         A hold stake plugin:game -> user:1 coin 6
         A secure plugin:game coin 5
         A secure plugin:game coin 4
         A draw 2
         A capture A/0
         A pay plugin:game -> user:1 coin 4
         A reply
         balance user:1 coin",
        &expect![[r#"
            account user:1 ceiling=coin/110: changed
            A secure plugin:game coin 11: refused, the receiving account could exceed its ceiling
            A hold stake plugin:game -> user:1 coin 11: refused, the receiving account could exceed its ceiling
            A secure plugin:game coin 5: refused, the receiving account could exceed its ceiling
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 110
        "#]],
    );
}

/// An operator may lower the credit limit that covers a stake. Without this rule a loss after that would be void, and a
/// win would still be paid.
#[test]
fn a_hold_that_cannot_be_captured_ends_the_call_before_the_draw() {
    check_game(
        "account user:2 credit_limit=coin/50
         call A game user:2
         A hold stake user:2 -> plugin:game coin 30
         A hold stake user:2 -> plugin:game coin 20
         A reply
         account user:2 credit_limit=coin/30
         call B game user:2
         B keep A/0
         B keep A/1
         B draw 2
         B capture A/0
         B reply
         balance user:2 coin
         state game",
        &expect![[r#"
            account user:2 credit_limit=coin/50: changed
            A reply: committed
            account user:2 credit_limit=coin/30: changed
            B keep A/1: refused, the account cannot cover the amount
            B draw 2: drew 0
            B reply: committed
            balance user:2 coin: -30, held 20
            state game: none
        "#]],
    );
}

#[test]
fn reserved_room_is_not_filled_by_other_holds() {
    check_game(
        "account user:1 ceiling=coin/120
         call A game user:2
         A hold stake plugin:game -> user:1 coin 10
         A reply
         call B game user:1
         B secure plugin:game coin 11
         B capture A/0
         B capture A/0 9
         B draw 2
         B pay plugin:game -> user:1 coin 11
         B reply
         balance user:1 coin",
        &expect![[r#"
            account user:1 ceiling=coin/120: changed
            A reply: committed
            B capture A/0: refused, the receiving account could exceed its ceiling
            B draw 2: drew 0
            B reply: committed
            balance user:1 coin: 120
        "#]],
    );
}

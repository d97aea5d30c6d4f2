//! Fair draws: what was drawn is never thrown away, and whether a bet stands never depends on it.

use expect_test::expect;

use super::script::check;

/// A member and a house with 100 coins each, and a game whose stakes are captured when they expire.
const GAME: &str = "
    asset coin
    account user:1
    account user:2
    plugin game component=a grants=requested enabled=true holds=stake/60/capture,gift/60/release
    issue user:1 coin 100
    issue plugin:game coin 100
";

fn check_game(script: &str, expected: &expect_test::Expect) {
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
fn a_member_who_has_spent_it_meanwhile_is_told_so_and_the_nonce_is_used_up() {
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

/// A machine that was busy is nobody's fault; what a game may have brought about counts.
#[test]
fn what_a_plugin_may_break_off_by_itself_counts_like_a_fault() {
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

/// Nobody can play on then: waiting must not cost a member what is at stake.
#[test]
fn stakes_in_a_game_that_was_switched_off_are_free_again_in_time() {
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

/// Beyond its quota after a draw is as good as a fault: else a game could refuse to have lost.
#[test]
fn state_beyond_the_quota_after_a_draw_is_no_way_out() {
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

/// What is written before the draw is known to have no room before it: no game is switched off for that.
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
fn a_call_that_broke_off_draws_the_same_again_under_its_key() {
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
fn nonces_are_used_once_and_in_order_and_gaps_are_burned() {
    check_game(
        "call A game user:1; A draw 2
         call B game user:1; B draw 2
         call C game user:1; C draw 2
         C reply
         seeds
         A reply
         seeds
         burn_nonces 1 2 9
         seeds
         burn_nonces 2
         B reply",
        &expect![[r#"
            A draw 2: drew 0
            B draw 2: drew 0
            C draw 2: drew 1
            C reply: committed
            seeds: seed 1, 1 draws, hidden from 1, next nonce 4, open [1, 2]
            A reply: committed
            seeds: seed 1, 2 draws, hidden from 1, next nonce 4, open [2]
            burn_nonces 1 2 9: changed
            seeds: seed 1, 2 draws, hidden from 1, next nonce 4, open []
            burn_nonces 2: unchanged
            B reply: stale
        "#]],
    );
}

#[test]
fn a_client_seed_counts_as_the_members_own_after_the_commitment() {
    check_game(
        "origin user:1
         client_seed user:1 luck
         origin user:1
         client_seed user:1 luck
         rotate
         origin user:1
         rotate
         origin user:1
         client_seed user:1 luck
         origin user:1
         client_seed plugin:game luck
         client_seed user:9 luck
         account user:2 status=closed
         client_seed user:2 luck",
        &expect![[r#"
            origin user:1: seed 1, user:1, not its own
            client_seed user:1 luck: changed
            origin user:1: seed 1, luck, its own
            client_seed user:1 luck: unchanged
            rotate: changed
            origin user:1: seed 2, luck, its own
            rotate: changed
            origin user:1: seed 3, luck, not its own
            client_seed user:1 luck: changed
            origin user:1: seed 3, luck, its own
            client_seed plugin:game luck: `plugin:game` is made by the server, with the asset or the plugin
            client_seed user:9 luck: the economy has no account `user:9`
            account user:2 status=closed: changed
            client_seed user:2 luck: `user:2` is closed
        "#]],
    );
}

#[test]
fn a_seed_stays_hidden_while_a_game_is_open_that_has_drawn_from_it() {
    check_game(
        "call A game user:1
         A hold stake user:1 -> plugin:game coin 10
         A draw 52
         A reply
         rotate
         reveal 2
         seeds
         call B game user:1
         B keep A/0
         B draw 52
         B release A/0
         B reply
         reveal 3
         seeds
         rotate
         reveal 9
         seeds",
        &expect![[r#"
            A draw 52: drew 8
            A reply: committed
            rotate: changed
            reveal 2: unchanged
            seeds: seed 2, 0 draws, hidden from 1, next nonce 2, open []
            B draw 52: drew 27
            B reply: committed
            reveal 3: changed
            seeds: seed 2, 1 draws, hidden from 2, next nonce 3, open []
            rotate: changed
            reveal 9: changed
            seeds: seed 3, 0 draws, hidden from 3, next nonce 3, open []
        "#]],
    );
}

/// A hold of an earlier call without a draw is marked when its game first draws.
#[test]
fn a_hold_from_before_the_first_draw_hides_the_seed_too() {
    check_game(
        "call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply
         call B game user:1; B keep A/0; B draw 52; B reply
         rotate
         reveal 2
         call C game user:1; C capture A/0; C reply
         reveal 2
         seeds",
        &expect![[r#"
            A reply: committed
            B draw 52: drew 8
            B reply: committed
            rotate: changed
            reveal 2: unchanged
            C reply: committed
            reveal 2: changed
            seeds: seed 2, 0 draws, hidden from 2, next nonce 2, open []
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
            B capture A/1: refused, more than what was secured
            B capture A/0 11: refused, 10 are left of the hold 559aead0-8264-d579-5d39-09718cdd05aa
            B capture A/0: refused, no open hold of the plugin's is 559aead0-8264-d579-5d39-09718cdd05aa
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
fn a_loser_cannot_wait_for_a_refund() {
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
            B release A/0: refused, no open hold of the plugin's is 559aead0-8264-d579-5d39-09718cdd05aa
            B capture A/0: refused, no open hold of the plugin's is 559aead0-8264-d579-5d39-09718cdd05aa
            B keep A/0: refused, no open hold of the plugin's is 559aead0-8264-d579-5d39-09718cdd05aa
            B reply: committed
            balance user:1 coin: 100, held 10
            violations: none
        "#]],
    );
}

#[test]
fn room_for_what_a_draw_may_bring_is_kept() {
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
            A secure plugin:game coin 11: refused, the account that would get it has no room for the amount
            A hold stake plugin:game -> user:1 coin 11: refused, the account that would get it has no room for the amount
            A secure plugin:game coin 5: refused, the account that would get it has no room for the amount
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 110
        "#]],
    );
}

#[test]
fn draws_of_all_kinds_are_made_again_and_what_is_mixed_counts() {
    check_game(
        "call A game user:1
         A seed
         A mix tickets
         A draw 6
         A mix late
         A shuffle 5
         A bytes 4
         A reply
         call B game user:1
         B draw 6
         B shuffle 5
         B bytes 4
         B reply
         seeds",
        &expect![[r#"
            A seed: user:1
            A draw 6: drew 1
            A mix late: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A shuffle 5: drew [0, 4, 2, 3, 1]
            A bytes 4: drew e0ef4d4f
            A reply: committed
            B draw 6: drew 0
            B shuffle 5: drew [3, 4, 0, 2, 1]
            B bytes 4: drew c8955406
            B reply: committed
            seeds: seed 1, 6 draws, hidden from 1, next nonce 3, open []
        "#]],
    );
}

#[test]
fn what_a_call_drew_is_kept_also_when_it_can_no_longer_begin() {
    check_game(
        "call A game user:1
         A draw 1000000
         economy frozen
         A reply
         call A game user:1
         A reply
         economy open
         seeds",
        &expect![[r#"
            A draw 1000000: drew 94880
            economy frozen: changed
            A reply: stale
            call A game user:1: not run, the economy is frozen
            A reply: on record, the economy is frozen
            economy open: changed
            seeds: seed 1, 0 draws, hidden from 1, next nonce 2, open []
        "#]],
    );
}

/// Else the economy could be frozen for a moment whenever the draw was the wrong one.
#[test]
fn a_run_that_can_no_longer_begin_draws_the_same_when_it_can() {
    check_game(
        "plugin dealer component=b grants=requested enabled=true schedules=deal/60/catch_up
         wait 60
         call A dealer plugin:dealer due=60000 action=deal
         A draw 1000000
         economy frozen
         A reply
         call A dealer plugin:dealer due=60000 action=deal
         A reply
         due dealer
         seeds
         economy open
         call A dealer plugin:dealer due=60000 action=deal
         A draw 1000000
         A reply
         seeds",
        &expect![[r#"
            A draw 1000000: drew 691649
            economy frozen: changed
            A reply: stale
            call A dealer plugin:dealer due=60000 action=deal: not run, the economy is frozen
            A reply: on record, the economy is frozen
            due dealer: deal at 60000
            seeds: seed 1, 0 draws, hidden from 1, next nonce 2, open []
            economy open: changed
            A draw 1000000: drew 691649
            A reply: committed
            seeds: seed 1, 1 draws, hidden from 1, next nonce 2, open []
        "#]],
    );
}

/// An operator takes away what a stake stands on: else every loss would be void, and every win be paid.
#[test]
fn a_hold_that_could_not_be_captured_is_told_before_the_draw() {
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
fn room_that_is_kept_is_not_filled_by_other_holds() {
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
            B capture A/0: refused, the account that would get it has no room for the amount
            B draw 2: drew 0
            B reply: committed
            balance user:1 coin: 120
        "#]],
    );
}

/// Each key is a member's own: nobody draws what another has drawn under it.
#[test]
fn another_member_draws_anew_under_the_same_key() {
    check_game(
        "call A game user:1
         A draw 1000000
         A break
         call A game user:2
         A draw 1000000
         A reply
         seeds",
        &expect![[r#"
            A draw 1000000: drew 94880
            A break: broken
            A draw 1000000: drew 393311
            A reply: committed
            seeds: seed 1, 2 draws, hidden from 1, next nonce 3, open []
        "#]],
    );
}

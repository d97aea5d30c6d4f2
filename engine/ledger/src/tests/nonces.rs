//! Nonces, client seeds and server seeds of draws.

use expect_test::expect;

use super::fair::check_game;

#[test]
fn nonces_are_used_once_in_order_and_gaps_are_burned() {
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
            client_seed plugin:game luck: `plugin:game` is created by the server, with the asset or the plugin
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
fn draws_of_all_kinds_are_repeated_with_the_mixed_text() {
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
fn draws_are_recorded_when_their_call_can_no_longer_start() {
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

/// Otherwise an operator could freeze the economy briefly to discard an unwanted draw.
#[test]
fn a_scheduled_run_that_cannot_start_gets_the_same_draws_later() {
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

/// Keys belong to a member: a key never gives a member the draws of another one.
#[test]
fn another_member_gets_new_draws_under_the_same_key() {
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

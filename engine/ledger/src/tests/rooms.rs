//! Room below a ceiling that is reserved for payments after a draw: no other payment uses it.

use expect_test::{Expect, expect};

use super::script::check;

/// Members with 100 coins each, and two accounts of the game.
const TABLE: &str = "
    asset coin
    account user:1
    account user:2
    plugin game component=a accounts=till grants=requested enabled=true \
        holds=stake/60/capture requests=debit/user:2
    issue user:1 coin 100
    issue user:2 coin 100
    issue plugin:game coin 100
    issue plugin:game:till coin 100
";

fn check_table(script: &str, expected: &Expect) {
    check(&format!("{TABLE}{script}"), expected);
}

#[test]
fn a_payment_does_not_fill_the_room_of_a_win() {
    check_table(
        "account user:1 ceiling=coin/101
         call A game user:1
         A secure plugin:game coin 1
         A pay plugin:game:till -> user:1 coin 1
         A draw 2
         A pay plugin:game -> user:1 coin 1
         A reply
         balance user:1 coin",
        &expect![[r#"
            account user:1 ceiling=coin/101: changed
            A pay plugin:game:till -> user:1 coin 1: refused, the receiving account could exceed its ceiling
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 101
        "#]],
    );
}

#[test]
fn a_capture_does_not_fill_the_room_of_a_win() {
    check_table(
        "call A game user:2
         A hold stake plugin:game:till -> user:1 coin 10
         A reply
         account user:1 ceiling=coin/110
         call B game user:1
         B secure plugin:game coin 1
         B capture A/0
         B capture A/0 9
         B draw 2
         B pay plugin:game -> user:1 coin 1
         B reply
         balance user:1 coin",
        &expect![[r#"
            A reply: committed
            account user:1 ceiling=coin/110: changed
            B capture A/0: refused, the receiving account could exceed its ceiling
            B draw 2: drew 0
            B reply: committed
            balance user:1 coin: 110
        "#]],
    );
}

/// A payment from a secured balance to a third account does not use the room that is reserved for the caller.
#[test]
fn a_secured_amount_does_not_fill_the_room_of_a_stake() {
    check_table(
        "account user:2 ceiling=coin/101
         call A game user:1
         A secure plugin:game coin 10
         A hold stake user:1 -> user:2 coin 1
         A pay plugin:game -> user:2 coin 1
         A draw 2
         A capture A/0
         A reply
         balance user:2 coin",
        &expect![[r#"
            account user:2 ceiling=coin/101: changed
            A pay plugin:game -> user:2 coin 1: refused, the receiving account could exceed its ceiling
            A draw 2: drew 0
            A reply: committed
            balance user:2 coin: 101
        "#]],
    );
}

/// If no room of an account is reserved, the ledger decides at the commit, with its own rejection.
#[test]
fn a_payment_without_room_is_rejected_at_commit_if_none_was_reserved() {
    check_table(
        "call A game user:2
         A hold stake plugin:game:till -> user:1 coin 10
         A reply
         account user:1 ceiling=coin/105
         account user:2 ceiling=coin/105
         call B game user:1; B capture A/0; B reply
         call C game user:1; C pay plugin:game -> user:2 coin 6; C reply
         call D game user:1; D secure plugin:game coin 5; D pay plugin:game -> user:2 coin 5; D reply
         call E game user:1; E secure plugin:game coin 5; E pay plugin:game -> user:2 coin 1; E reply
         balance user:2 coin",
        &expect![[r#"
            A reply: committed
            account user:1 ceiling=coin/105: changed
            account user:2 ceiling=coin/105: changed
            B reply: `user:1` may hold 105 coin, has 100, and would receive 10
            C reply: `user:2` may hold 105 coin, has 100, and would receive 6
            D reply: committed
            E reply: `user:2` may hold 105 coin, has 105, and would receive 1
            balance user:2 coin: 105
        "#]],
    );
}

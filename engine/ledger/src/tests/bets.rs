//! Bets: only amounts that were secured before a draw move after it.

use expect_test::expect;

use super::calls::{check_granted, check_shop};

#[test]
fn secured_amount_is_paid_after_the_draw() {
    check_shop(
        "call A shop user:1
         A pay user:1 -> plugin:shop coin 10
         A secure plugin:shop coin 20
         A draw 1
         A pay plugin:shop -> user:1 coin 15
         A pay plugin:shop -> plugin:shop:till coin 5
         A pay plugin:shop -> user:1 coin 1
         A reply
         balance user:1 coin
         balance plugin:shop coin
         balance plugin:shop:till coin",
        &expect![[r#"
            A draw 1: drew 0
            A pay plugin:shop -> user:1 coin 1: refused, the amount exceeds what was secured
            A reply: committed
            balance user:1 coin: 105
            balance plugin:shop coin: 90
            balance plugin:shop:till coin: 5
        "#]],
    );
}

#[test]
fn a_call_debits_no_other_account_after_a_draw() {
    check_granted(
        "call A shop user:1
         A secure plugin:shop coin 20
         A draw 1
         A pay user:1 -> plugin:shop coin 1
         A pay user:2 -> user:1 coin 1
         A pay issuer:coin -> user:1 coin 1
         A pay plugin:shop -> user:2 coin 1
         A pay plugin:shop -> issuer:coin coin 1
         A secure plugin:shop coin 1
         A pay plugin:shop -> user:1 gem 1
         A pay plugin:shop:till -> user:1 coin 1
         A pay plugin:shop -> user:1 coin 21
         A pay plugin:shop -> user:1 coin 20
         A reply",
        &expect![[r#"
            A draw 1: drew 0
            A pay user:1 -> plugin:shop coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay user:2 -> user:1 coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay issuer:coin -> user:1 coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:shop -> user:2 coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:shop -> issuer:coin coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A secure plugin:shop coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:shop -> user:1 gem 1: refused, the amount exceeds what was secured
            A pay plugin:shop:till -> user:1 coin 1: refused, the amount exceeds what was secured
            A pay plugin:shop -> user:1 coin 21: refused, the amount exceeds what was secured
            A reply: committed
        "#]],
    );
}

#[test]
fn a_draw_without_secured_amounts_can_pay_nothing() {
    check_shop(
        "call A shop user:1
         A draw 1
         A pay plugin:shop -> user:1 coin 1
         A set seen 1
         A reply
         state shop",
        &expect![[r#"
            A draw 1: drew 0
            A pay plugin:shop -> user:1 coin 1: refused, the amount exceeds what was secured
            A reply: committed
            state shop: seen=1
        "#]],
    );
}

#[test]
fn a_secured_amount_must_be_spendable() {
    check_shop(
        "call A shop user:1
         A secure plugin:shop coin 101
         A secure plugin:shop coin 60
         A secure plugin:shop coin 41
         A secure plugin:shop coin 40
         A secure plugin:shop gem 1
         A secure user:1 coin 1
         A secure plugin:shopping coin 1
         A pay user:1 -> plugin:shop coin 10
         A secure plugin:shop coin 11
         A secure plugin:shop coin 10",
        &expect![[r#"
            A secure plugin:shop coin 101: refused, the account cannot cover the amount
            A secure plugin:shop coin 41: refused, the account cannot cover the amount
            A secure plugin:shop gem 1: refused, the account cannot cover the amount
            A secure user:1 coin 1: refused, the plugin has no grant to secure on `user:1`, which is no account of its own
            A secure plugin:shopping coin 1: refused, the plugin has no grant to secure on `plugin:shopping`, which is no account of its own
            A secure plugin:shop coin 11: refused, the account cannot cover the amount
        "#]],
    );
}

/// A secured amount cannot be spent elsewhere before the draw either.
#[test]
fn only_secured_amounts_leave_a_secured_balance() {
    check_shop(
        "call A shop user:1
         A secure plugin:shop coin 10
         A pay plugin:shop -> user:2 coin 11
         A pay plugin:shop -> user:2 coin 4
         A draw 1
         A pay plugin:shop -> user:1 coin 7
         A pay plugin:shop -> user:1 coin 6
         A reply
         balance plugin:shop coin",
        &expect![[r#"
            A pay plugin:shop -> user:2 coin 11: refused, the amount exceeds what was secured
            A draw 1: drew 0
            A pay plugin:shop -> user:1 coin 7: refused, the amount exceeds what was secured
            A reply: committed
            balance plugin:shop coin: 90
        "#]],
    );
}

#[test]
fn the_caller_must_have_room_for_a_win() {
    check_shop(
        "account user:1 ceiling=coin/120
         admin_transfer plugin:shop -> plugin:shop:till coin 50
         call A shop user:1
         A secure plugin:shop coin 21
         A secure plugin:shop coin 15
         A secure plugin:shop:till coin 6
         A secure plugin:shop:till coin 5
         A draw 1
         A pay plugin:shop -> user:1 coin 15
         A pay plugin:shop:till -> user:1 coin 5
         A reply
         balance user:1 coin
         call B shop user:1
         B secure plugin:shop coin 1
         B pay user:1 -> plugin:shop coin 10
         B secure plugin:shop coin 11
         B secure plugin:shop coin 10",
        &expect![[r#"
            account user:1 ceiling=coin/120: changed
            A secure plugin:shop coin 21: refused, the receiving account could exceed its ceiling
            A secure plugin:shop:till coin 6: refused, the receiving account could exceed its ceiling
            A draw 1: drew 0
            A reply: committed
            balance user:1 coin: 120
            B secure plugin:shop coin 1: refused, the receiving account could exceed its ceiling
            B secure plugin:shop coin 11: refused, the receiving account could exceed its ceiling
        "#]],
    );
}

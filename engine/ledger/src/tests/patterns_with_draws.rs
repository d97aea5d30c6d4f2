//! Debits by patterns in calls that draw: everything that was taken can be paid back after the draw.

use expect_test::expect;

use super::patterns::check_gang;

const DRAWS: &str = "
    plugin rob grants=take/user:*/coin/50/200/1000
    account user:1
";

/// A rule that draws takes the largest loss to its own account before the draw, and gives the rest back.
#[test]
fn a_debited_account_is_paid_back_after_a_draw_up_to_its_debit() {
    check_gang(
        &format!(
            "{DRAWS}
             call A rob user:1
             A pay user:2 -> plugin:rob coin 20
             A pay user:4 -> plugin:rob coin 5
             A secure plugin:rob coin 40
             A draw 2
             A pay plugin:rob -> user:2 coin 21
             A pay plugin:rob -> user:2 coin 15
             A pay plugin:rob -> user:2 coin 6
             A pay plugin:rob -> user:2 coin 5
             A pay plugin:rob -> user:2 coin 1
             A pay plugin:rob -> user:4 coin 6
             A pay plugin:rob -> user:4 coin 5
             A pay plugin:rob -> user:3 coin 1
             A pay plugin:rob -> user:2 gem 1
             A pay user:2 -> plugin:rob coin 1
             A pay plugin:rob -> user:1 coin 16
             A pay plugin:rob -> user:1 coin 15
             A reply
             balance user:1 coin
             balance user:2 coin
             balance user:4 coin
             balance plugin:rob coin"
        ),
        &expect![[r#"
            plugin rob grants=take/user:*/coin/50/200/1000: changed
            account user:1: unchanged
            A draw 2: drew 0
            A pay plugin:rob -> user:2 coin 21: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:2 coin 6: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:2 coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:4 coin 6: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:3 coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:2 gem 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay user:2 -> plugin:rob coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> user:1 coin 16: refused, the amount exceeds what was secured
            A reply: committed
            balance user:1 coin: 115
            balance user:2 coin: 100
            balance user:4 coin: 100
            balance plugin:rob coin: 85
        "#]],
    );
}

/// A payment back after the draw comes only from the secured amount.
#[test]
fn only_secured_amounts_are_paid_back_after_a_draw() {
    check_gang(
        &format!(
            "{DRAWS}
             call A rob user:1
             A pay user:2 -> plugin:rob coin 20
             A secure plugin:rob coin 8
             A draw 2
             A pay plugin:rob -> user:2 coin 9
             A pay plugin:rob:till -> user:2 coin 1
             A pay plugin:rob -> user:2 coin 8
             A reply
             call B rob user:1
             B pay user:2 -> plugin:rob coin 20
             B draw 2
             B pay plugin:rob -> user:2 coin 1
             B reply
             balance user:2 coin"
        ),
        &expect![[r#"
            plugin rob grants=take/user:*/coin/50/200/1000: changed
            account user:1: unchanged
            A draw 2: drew 0
            A pay plugin:rob -> user:2 coin 9: refused, the amount exceeds what was secured
            A pay plugin:rob:till -> user:2 coin 1: refused, the amount exceeds what was secured
            A reply: committed
            B draw 2: drew 0
            B pay plugin:rob -> user:2 coin 1: refused, the amount exceeds what was secured
            B reply: committed
            balance user:2 coin: 68
        "#]],
    );
}

/// An amount that was paid back before the draw cannot be paid back again.
#[test]
fn a_repayment_before_the_draw_reduces_the_repayments_after_it() {
    check_gang(
        &format!(
            "{DRAWS}
             call A rob user:1
             A pay user:2 -> plugin:rob coin 20
             A pay plugin:rob -> user:2 coin 15
             A secure plugin:rob coin 50
             A draw 2
             A pay plugin:rob -> user:2 coin 6
             A pay plugin:rob -> user:2 coin 5
             A reply
             call B rob user:1
             B pay user:2 -> plugin:rob coin 20
             B pay user:1 -> user:2 coin 15
             B secure plugin:rob coin 50
             B draw 2
             B pay plugin:rob -> user:2 coin 20
             B reply
             balance user:2 coin"
        ),
        &expect![[r#"
            plugin rob grants=take/user:*/coin/50/200/1000: changed
            account user:1: unchanged
            A draw 2: drew 0
            A pay plugin:rob -> user:2 coin 6: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A reply: committed
            B draw 2: drew 0
            B reply: committed
            balance user:2 coin: 115
        "#]],
    );
}

/// An account that is granted by its name can be paid back as well, but not the caller or an issuer.
#[test]
fn an_account_granted_by_name_is_paid_back_too() {
    check_gang(
        "plugin rob component=d enabled=true requests=debit/treasury,debit/issuer:coin,credit/issuer:coin grants=requested
         call A rob user:1
         A pay treasury -> plugin:rob coin 20
         A pay issuer:coin -> plugin:rob coin 20
         A secure plugin:rob coin 50
         A draw 2
         A pay plugin:rob -> treasury coin 21
         A pay plugin:rob -> treasury coin 20
         A pay plugin:rob -> issuer:coin coin 1
         A reply
         balance treasury coin",
        &expect![[r#"
            plugin rob component=d enabled=true requests=debit/treasury,debit/issuer:coin,credit/issuer:coin grants=requested: changed
            A draw 2: drew 1
            A pay plugin:rob -> treasury coin 21: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A pay plugin:rob -> issuer:coin coin 1: refused, after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a grant let this call take as much
            A reply: committed
            balance treasury coin: 100
        "#]],
    );
}

/// The draft checks before the draw that every debit can be paid back. An account above its ceiling, or one
/// that receives another payment, could not take the whole amount.
#[test]
fn a_repayment_without_room_ends_the_call_before_its_draw() {
    check_gang(
        &format!(
            "{DRAWS}
             account user:2 ceiling=coin/90
             call A rob user:1
             A pay user:2 -> plugin:rob coin 20
             A secure plugin:rob coin 11
             A draw 2
             A stop
             call B rob user:1
             B pay user:2 -> plugin:rob coin 20
             B secure plugin:rob coin 10
             B draw 2
             B pay plugin:rob -> user:2 coin 10
             B reply
             account user:2 ceiling=coin/100
             call C rob user:1
             C secure plugin:rob coin 50
             C pay user:2 -> plugin:rob coin 20
             C pay plugin:rob -> user:2 coin 20
             C pay user:2 -> plugin:rob coin 20
             C pay user:1 -> user:2 coin 11
             C pay user:1 -> user:2 coin 10
             C hold stake user:1 -> user:2 coin 1
             C draw 2
             C pay plugin:rob -> user:2 coin 20
             C reply
             balance user:2 coin"
        ),
        &expect![[r#"
            plugin rob grants=take/user:*/coin/50/200/1000: changed
            account user:1: unchanged
            account user:2 ceiling=coin/90: changed
            A draw 2: ends, `user:2` may hold 90 coin, has 80, and would receive 11
            A stop: `user:2` may hold 90 coin, has 80, and would receive 11
            B draw 2: drew 0
            B reply: committed
            account user:2 ceiling=coin/100: changed
            C pay user:1 -> user:2 coin 11: refused, the receiving account could exceed its ceiling
            C hold stake user:1 -> user:2 coin 1: refused, the receiving account could exceed its ceiling
            C draw 2: drew 0
            C reply: committed
            balance user:2 coin: 100
        "#]],
    );
}

/// A payment by the caller reserves no room for its repayment. The caller's room is reserved for secured amounts.
#[test]
fn a_payment_of_the_caller_reserves_no_repayment() {
    check_gang(
        "account user:1 ceiling=coin/100
         issue plugin:rob:till coin 10
         call A rob user:1
         A pay user:1 -> plugin:rob coin 10
         A secure plugin:rob coin 10
         A pay plugin:rob:till -> user:1 coin 10
         A draw 2
         A pay plugin:rob -> user:1 coin 10
         A reply
         balance user:1 coin",
        &expect![[r#"
            account user:1 ceiling=coin/100: changed
            A pay plugin:rob:till -> user:1 coin 10: refused, the receiving account could exceed its ceiling
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 100
        "#]],
    );
}

/// A call is stale, and runs again, if the ceiling of an account that it has debited is lowered while it runs, or if
/// the account is frozen.
#[test]
fn a_ceiling_that_changes_makes_the_call_run_again() {
    check_gang(
        &format!(
            "{DRAWS}
             call A rob user:1
             A pay user:2 -> plugin:rob coin 20
             A secure plugin:rob coin 20
             A draw 2
             account user:2 ceiling=coin/99
             A pay plugin:rob -> user:2 coin 20
             A reply
             account user:2 ceiling=coin/100
             call B rob user:1
             B pay user:2 -> plugin:rob coin 20
             B secure plugin:rob coin 20
             B draw 2
             account user:2 status=frozen
             B reply"
        ),
        &expect![[r#"
            plugin rob grants=take/user:*/coin/50/200/1000: changed
            account user:1: unchanged
            A draw 2: drew 0
            account user:2 ceiling=coin/99: changed
            A reply: stale
            account user:2 ceiling=coin/100: changed
            B draw 2: drew 0
            account user:2 status=frozen: changed
            B reply: stale
        "#]],
    );
}

/// A cap ends a call before it draws, even if the call would pay back the whole amount.
#[test]
fn a_cap_that_is_used_up_ends_a_call_before_its_draw() {
    check_gang(
        "call A rob user:1
         A pay user:2 -> plugin:rob coin 10
         A secure plugin:rob coin 10
         A draw 2
         A pay plugin:rob -> user:2 coin 10
         A reply
         call B rob user:1
         B pay user:2 -> plugin:rob coin 6
         B secure plugin:rob coin 6
         B draw 2
         B stop
         seeds
         balance user:2 coin",
        &expect![[r#"
            A draw 2: drew 0
            A reply: committed
            B draw 2: ends, `rob` may move 15 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 16 of `user:2`
            B stop: `rob` may move 15 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 16 of `user:2`
            seeds: seed 1, 1 draws, hidden from 1, next nonce 2, open []
            balance user:2 coin: 100
        "#]],
    );
}

//! Stakes within a call: holds that the call has placed, captured, released or secured, as it reads them.

use expect_test::{Expect, expect};

use super::script::check;

const TABLE: &str = "
    asset coin
    account user:1
    account user:2
    account user:3
    plugin game component=a accounts=till grants=requested enabled=true \
        holds=stake/60/capture requests=debit/user:2
    issue user:1 coin 100
    issue user:2 coin 100
    issue plugin:game coin 100
";

fn check_table(script: &str, expected: &Expect) {
    check(&format!("{TABLE}{script}"), expected);
}

#[test]
fn a_call_sees_what_is_left_of_its_holds() {
    check_table(
        "call A game user:1
         A hold stake user:1 -> plugin:game coin 30
         A capture A/0 10
         A balance user:1 coin
         A balance plugin:game coin
         A release A/0
         A balance user:1 coin
         A reply
         balance user:1 coin",
        &expect![[r#"
            A balance user:1 coin: posted 90, held 20, spendable 70
            A balance plugin:game coin: posted 110, held 0, spendable 110
            A balance user:1 coin: posted 90, held 0, spendable 90
            A reply: committed
            balance user:1 coin: 90
        "#]],
    );
}

#[test]
fn a_captured_amount_is_no_longer_held() {
    check_table(
        "call A game user:1
         A hold stake user:1 -> plugin:game coin 60
         A capture A/0
         A pay user:1 -> plugin:game coin 40
         A reply
         balance user:1 coin",
        &expect![[r#"
            A reply: committed
            balance user:1 coin: 0
        "#]],
    );
}

#[test]
fn a_missing_account_or_asset_is_refused_first() {
    check_table(
        "call A game user:1 spend=none
         A hold stake plugin:game:none -> user:1 coin 1
         A hold stake user:1 -> user:9 coin 1
         A hold stake user:1 -> user:2 gold 1
         A pay plugin:game:none -> user:1 coin 1
         A pay user:1 -> user:9 coin 1
         A reply",
        &expect![[r#"
            A hold stake plugin:game:none -> user:1 coin 1: refused, the economy has no account `plugin:game:none`
            A hold stake user:1 -> user:9 coin 1: refused, the economy has no account `user:9`
            A hold stake user:1 -> user:2 gold 1: refused, the economy has no asset `gold`
            A pay plugin:game:none -> user:1 coin 1: refused, the economy has no account `plugin:game:none`
            A pay user:1 -> user:9 coin 1: refused, the economy has no account `user:9`
            A reply: committed
        "#]],
    );
}

/// A secured amount bounds all debits of that balance, including holds on it.
#[test]
fn a_hold_on_a_secured_balance_reduces_the_secured_amount() {
    check_table(
        "call A game user:1
         A secure plugin:game coin 10
         A hold stake plugin:game -> user:2 coin 6
         A pay plugin:game -> user:2 coin 5
         A pay plugin:game -> user:2 coin 4
         A hold stake plugin:game -> user:2 coin 1
         A reply
         balance plugin:game coin",
        &expect![[r#"
            A pay plugin:game -> user:2 coin 5: refused, the amount exceeds what was secured
            A hold stake plugin:game -> user:2 coin 1: refused, the amount exceeds what was secured
            A reply: committed
            balance plugin:game coin: 96, held 6
        "#]],
    );
}

#[test]
fn only_a_stake_that_can_be_captured_is_secured() {
    check_table(
        "call A game user:2
         A hold stake user:2 -> plugin:game coin 50
         A hold stake plugin:game -> user:1 coin 50
         A hold stake user:2 -> user:3 coin 50
         A reply
         account user:3 ceiling=coin/49
         call B game user:1
         B keep A/2
         B keep A/0
         B keep A/0
         B reply
         account user:2 status=frozen
         call C game user:1
         C keep A/0
         C keep A/1
         C reply
         account user:1 ceiling=coin/149
         call D game user:1
         D keep A/1
         D reply",
        &expect![[r#"
            A reply: committed
            account user:3 ceiling=coin/49: changed
            B keep A/2: refused, the receiving account could exceed its ceiling
            B reply: committed
            account user:2 status=frozen: changed
            C keep A/0: refused, the receiving account could exceed its ceiling
            C reply: committed
            account user:1 ceiling=coin/149: changed
            D keep A/1: refused, the receiving account could exceed its ceiling
            D reply: committed
        "#]],
    );
}

/// Securing a stake twice has the effect of once, so it needs no further room or money.
#[test]
fn a_stake_that_is_secured_twice_is_secured_once() {
    check_table(
        "account user:3 ceiling=coin/50
         call A game user:1
         A hold stake user:1 -> user:3 coin 50
         A reply
         call B game user:1
         B keep A/0
         B keep A/0
         B draw 2
         B capture A/0
         B reply
         balance user:3 coin",
        &expect![[r#"
            account user:3 ceiling=coin/50: changed
            A reply: committed
            B draw 2: drew 0
            B reply: committed
            balance user:3 coin: 50
        "#]],
    );
}

/// Otherwise a game could decide by its draw to return a stake or to keep it.
#[test]
fn an_unsecured_stake_cannot_be_captured_or_released_after_the_draw() {
    check_table(
        "call A game user:1
         A hold stake user:1 -> plugin:game coin 10
         A reply
         call B game user:1
         B draw 2
         B release A/0
         B capture A/0
         B left A/0
         B reply
         balance user:1 coin",
        &expect![[r#"
            A reply: committed
            B draw 2: drew 0
            B release A/0: refused, the amount exceeds what was secured
            B capture A/0: refused, the amount exceeds what was secured
            B left A/0: 10 left
            B reply: committed
            balance user:1 coin: 100, held 10
        "#]],
    );
}

/// A plugin can neither credit nor debit an account that an operator has frozen or closed.
#[test]
fn nothing_moves_on_frozen_or_closed_accounts() {
    check_table(
        "call H game user:1
         H hold stake plugin:game -> user:2 coin 10
         H reply
         account user:2 status=frozen
         account user:3 status=closed
         call A game user:1; A pay plugin:game -> user:2 coin 1; A reply
         call B game user:1; B pay user:2 -> plugin:game coin 1; B reply
         call C game user:1; C pay plugin:game -> user:3 coin 1; C reply
         call D game user:1; D capture H/0; D reply
         call E game user:1; E hold stake user:2 -> plugin:game coin 1; E reply
         call F game user:1; F release H/0; F reply
         balance user:2 coin
         balance plugin:game coin",
        &expect![[r#"
            H reply: committed
            account user:2 status=frozen: changed
            account user:3 status=closed: changed
            A reply: `user:2` is frozen
            B reply: `user:2` is frozen
            C reply: `user:3` is closed
            D reply: `user:2` is frozen
            E reply: `user:2` is frozen
            F reply: committed
            balance user:2 coin: 100
            balance plugin:game coin: 100
        "#]],
    );
}

//! Reversals, batches, and the status of an economy.

use expect_test::expect;

use uuid::Uuid;

use super::script::{check, id};
use crate::{
    Amount, Authority, BATCH_POSTINGS_MAX, BATCH_TRANSFERS_MAX, POSTINGS_MAX, Posting, Postings,
    TransferId, TransferRequest, Transfers, TransfersError,
};

const SETUP: &str = "
    asset coin max_supply=1000
    account user:1
    account user:2
    account user:3 ceiling=coin/60
    issue user:1 coin 100";

fn after_setup(script: &str, expected: &expect_test::Expect) {
    check(&format!("{SETUP}\n{script}"), expected);
}

#[test]
fn a_transfer_is_reversed_once_and_its_reversal_never() {
    after_setup(
        "transfer user:1 -> user:2 coin 30
         reverse 2 of=1 user:2 -> user:1 coin 30
         reverse 3 of=1 user:2 -> user:1 coin 30
         reverse 3 of=2 user:1 -> user:2 coin 30
         balance user:1 coin
         violations",
        &expect![[r#"
            reverse 3 of=1 user:2 -> user:1 coin 30: the transfer 00000000-0000-0000-0000-000000000001 was reversed by 00000000-0000-0000-0000-000000000002
            reverse 3 of=2 user:1 -> user:2 coin 30: 00000000-0000-0000-0000-000000000002 is the reversal of 00000000-0000-0000-0000-000000000001: make a new transfer instead
            balance user:1 coin: 100
            violations: none
        "#]],
    );
}

#[test]
fn reversal_that_would_break_a_floor_takes_an_admin_with_a_reason() {
    after_setup(
        "transfer user:1 -> user:2 coin 30
         transfer user:2 -> user:3 coin 25
         account user:2 status=frozen
         reverse 2 of=1 user:2 -> user:1 coin 30
         account user:2 status=open
         reverse 2 of=1 user:2 -> user:1 coin 30
         account user:2 status=frozen
         reverse 2 of=1 user:2 -> user:1 coin 30 force=theft
         balance user:2 coin
         violations
         account user:2 status=open
         transfer user:2 -> user:1 coin 1
         transfer user:3 -> user:2 coin 10
         balance user:2 coin",
        &expect![[r#"
            account user:2 status=frozen: changed
            reverse 2 of=1 user:2 -> user:1 coin 30: `user:2` is frozen
            account user:2 status=open: changed
            reverse 2 of=1 user:2 -> user:1 coin 30: `user:2` can spend 5 coin, and 30 are required
            account user:2 status=frozen: changed
            balance user:2 coin: -25
            violations: user:2 has -25 coin, below its floor of 0
            account user:2 status=open: changed
            transfer user:2 -> user:1 coin 1: `user:2` can spend 0 coin, and 1 are required
            balance user:2 coin: -15
        "#]],
    );
}

#[test]
fn force_ignores_limits_of_accounts_only() {
    after_setup(
        "issue user:3 coin 60
         transfer user:3 -> user:2 coin 10
         issue user:3 coin 10
         reverse 2 of=1 user:2 -> user:3 coin 10
         account user:1 status=frozen
         reverse 2 of=1 user:2 -> user:3 coin 10 force=asked
         balance user:3 coin
         burn user:2 coin 1
         reverse 4 of=3 issuer:coin -> user:2 coin 900 by=admin force=asked
         reverse 4 of=3 issuer:coin -> user:2 gem 1 by=admin force=asked
         transfer user:3 -> user:2 coin 70
         account user:3 status=closed
         reverse 6 of=5 user:2 -> user:3 coin 70 force=asked",
        &expect![[r#"
            reverse 2 of=1 user:2 -> user:3 coin 10: `user:3` may hold 60 coin, has 60, and would receive 10
            account user:1 status=frozen: changed
            balance user:3 coin: 70
            burn user:2 coin 1: `user:2` can spend 0 coin, and 1 are required
            reverse 4 of=3 issuer:coin -> user:2 coin 900 by=admin force=asked: 170 of at most 1000 coin are in circulation; 900 more are too many
            reverse 4 of=3 issuer:coin -> user:2 gem 1 by=admin force=asked: the economy has no asset `gem`
            account user:3 status=closed: changed
            reverse 6 of=5 user:2 -> user:3 coin 70 force=asked: `user:3` is closed
        "#]],
    );
}

#[test]
fn only_an_admin_reverses_an_issue_or_a_payment_to_a_plugin() {
    after_setup(
        "plugin shop component=a enabled=true
         transfer user:1 -> plugin:shop coin 5
         reverse 2 of=1 plugin:shop -> user:1 coin 5
         reverse 2 of=1 plugin:shop -> user:1 coin 5 by=admin
         reverse 4 of=3 user:1 -> issuer:coin coin 100
         reverse 4 of=3 user:1 -> issuer:coin coin 100 by=admin
         balance issuer:coin coin",
        &expect![[r#"
            reverse 2 of=1 plugin:shop -> user:1 coin 5: `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
            reverse 4 of=3 user:1 -> issuer:coin coin 100: `issuer:coin` is an issuer: use issue or burn
            balance issuer:coin coin: 0
        "#]],
    );
}

#[test]
fn a_batch_applies_as_a_whole_or_not_at_all() {
    after_setup(
        "batch user:1 -> user:2 coin 60, user:2 -> user:3 coin 50, user:3 -> user:1 coin 50
         balance user:1 coin
         batch user:1 -> user:2 coin 90, user:1 -> user:2 coin 1
         batch user:1 -> user:2 coin 1, user:1 -> user:9 coin 1
         batch user:1 -> user:2 coin 1, user:1 -> user:3 coin 1, plugin:x -> user:3 coin 1
         balance user:1 coin",
        &expect![[r#"
            balance user:1 coin: 90
            batch user:1 -> user:2 coin 90, user:1 -> user:2 coin 1: transfer 1: `user:1` can spend 0 coin, and 1 are required
            batch user:1 -> user:2 coin 1, user:1 -> user:9 coin 1: transfer 1: the economy has no account `user:9`
            batch user:1 -> user:2 coin 1, user:1 -> user:3 coin 1, plugin:x -> user:3 coin 1: transfer 2: `plugin:x` belongs to a plugin: debiting it needs the scope `admin`
            balance user:1 coin: 90
        "#]],
    );
}

#[test]
fn a_frozen_economy_only_ends_holds_and_accepts_forced_reversals() {
    after_setup(
        "plugin shop component=a enabled=true
         hold 1 user:1 -> user:2 coin 5
         hold 2 user:1 -> user:2 coin 5 for=9 on_expiry=capture
         economy frozen
         economy frozen
         transfer user:1 -> user:2 coin 1
         batch user:1 -> user:2 coin 1
         issue user:1 coin 1
         burn user:1 coin 1
         hold 3 user:1 -> user:2 coin 1
         capture 1
         call A shop user:1
         reverse 5 of=4 user:1 -> user:2 coin 1
         reverse 5 of=4 user:1 -> user:2 coin 1 force=theft
         account user:4
         release 1
         wait 9
         expire 2
         balance user:2 coin
         economy open
         transfer user:2 -> user:1 coin 6",
        &expect![[r#"
            economy frozen: changed
            economy frozen: unchanged
            transfer user:1 -> user:2 coin 1: the economy is frozen
            batch user:1 -> user:2 coin 1: the economy is frozen
            issue user:1 coin 1: the economy is frozen
            burn user:1 coin 1: the economy is frozen
            hold 3 user:1 -> user:2 coin 1: the economy is frozen
            capture 1: the economy is frozen
            call A shop user:1: not run, the economy is frozen
            reverse 5 of=4 user:1 -> user:2 coin 1: the economy is frozen
            release 1: changed
            balance user:2 coin: 6
            economy open: changed
        "#]],
    );
}

#[test]
fn economy_closes_for_ever_once_no_hold_is_open() {
    after_setup(
        "hold 1 user:1 -> user:2 coin 5
         economy closed
         release 1
         economy closed
         economy closed
         economy open
         transfer user:1 -> user:2 coin 1
         reverse 5 of=4 user:1 -> user:2 coin 1 force=theft
         account user:4
         asset gem
         release 1
         balance user:1 coin",
        &expect![[r#"
            economy closed: 1 holds are open: end them before the economy is closed
            release 1: changed
            economy closed: changed
            economy closed: unchanged
            economy open: the economy is closed
            transfer user:1 -> user:2 coin 1: the economy is closed
            reverse 5 of=4 user:1 -> user:2 coin 1 force=theft: the economy is closed
            account user:4: the economy is closed
            asset gem: the economy is closed
            release 1: the economy is closed
            balance user:1 coin: 100
        "#]],
    );
}

#[test]
fn batch_ends_at_its_number_of_postings() {
    let transfer = |postings: usize| TransferRequest {
        id: TransferId(Uuid::nil()),
        postings: Postings::new(vec![
            Posting {
                source: id("user:1"),
                destination: id("user:2"),
                asset: id("coin"),
                amount: Amount::ONE,
            };
            postings
        ])
        .expect("a transfer"),
        authority: Authority::Bot,
        cap: None,
    };
    let full = vec![transfer(POSTINGS_MAX); BATCH_POSTINGS_MAX / POSTINGS_MAX];
    assert!(Transfers::new(full.clone()).is_ok());
    let beyond = [full, vec![transfer(1)]].concat();
    assert_eq!(Transfers::new(beyond), Err(TransfersError::Postings));
    assert_eq!(Transfers::new(Vec::new()), Err(TransfersError::Count));
    let many = vec![transfer(1); BATCH_TRANSFERS_MAX + 1];
    assert_eq!(Transfers::new(many), Err(TransfersError::Count));
}

//! Limits of accounts: each is of one asset, and an item cannot be owed.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{ACCOUNT_LIMITS_MAX, AccountId, AccountLimits, Limit, Violation, check as violations};

/// Returns a script in which `user:1` has the maximum number of ceilings.
pub(super) fn with_most_limits(world: &mut World) {
    let names: Vec<String> = (0..ACCOUNT_LIMITS_MAX)
        .map(|n| format!("extra{n}"))
        .collect();
    for name in &names {
        world.run(&format!("asset {name}"));
    }
    let limits: Vec<String> = names.iter().map(|name| format!("{name}/1")).collect();
    world.run(&format!(
        "account user:1; account user:1 ceiling={}",
        limits.join(",")
    ));
    world.output.clear();
}

#[test]
fn credit_never_creates_a_second_unique_item() {
    check(
        "asset coin
         asset item:crown kind=item max_supply=1
         account user:0
         account user:1
         account user:2
         issue user:2 item:crown 1
         account user:0 credit_limit=coin/5
         transfer user:0 -> user:1 item:crown 1
         transfer user:0 -> user:1 coin 5
         account user:0 credit_limit=item:crown/5
         account user:0 credit_limit=item:crown/0
         account user:0 credit_limit=item:crown/null
         hold 1 user:0 -> user:1 item:crown 1
         balance user:1 item:crown
         violations",
        &expect![[r#"
            account user:0 credit_limit=coin/5: changed
            transfer user:0 -> user:1 item:crown 1: `user:0` can spend 0 item:crown, and 1 are required
            account user:0 credit_limit=item:crown/5: `item:crown` is an item: an account can owe money, and no items
            account user:0 credit_limit=item:crown/0: unchanged
            account user:0 credit_limit=item:crown/null: unchanged
            hold 1 user:0 -> user:1 item:crown 1: `user:0` can spend 0 item:crown, and 1 are required
            balance user:1 item:crown: 0
            violations: none
        "#]],
    );
}

#[test]
fn a_ceiling_of_coins_lets_any_number_of_arrows_in() {
    check(
        "asset coin
         asset item:arrow kind=item
         account user:1 ceiling=coin/50
         issue user:1 item:arrow 64
         issue user:1 coin 51
         account user:1 ceiling=item:arrow/64
         issue user:1 item:arrow 1
         issue user:1 coin 50
         issue user:1 coin 1
         account user:1 ceiling=coin/null
         issue user:1 coin 1
         issue user:1 item:arrow 1
         violations",
        &expect![[r#"
            issue user:1 coin 51: `user:1` may hold 50 coin, has 0, and would receive 51
            account user:1 ceiling=item:arrow/64: changed
            issue user:1 item:arrow 1: `user:1` may hold 64 item:arrow, has 64, and would receive 1
            issue user:1 coin 1: `user:1` may hold 50 coin, has 50, and would receive 1
            account user:1 ceiling=coin/null: changed
            issue user:1 item:arrow 1: `user:1` may hold 64 item:arrow, has 64, and would receive 1
            violations: none
        "#]],
    );
}

#[test]
fn limits_are_merged_by_asset() {
    let mut world = World::after(
        "asset coin
         asset gem
         account user:1 credit_limit=coin/50 ceiling=coin/100,gem/7
         account user:1 credit_limit=gem/5
         account user:1 ceiling=gem/8
         account user:1 ceiling=gem/8 credit_limit=coin/50
         account user:1 credit_limit=coin/null ceiling=coin/null
         account user:1 ceiling=coin/null
         account user:1 credit_limit=none/5
         account user:1 ceiling=none/null
         account user:1 ceiling=gem/0
         account user:1",
    );
    expect![[r#"
        account user:1 credit_limit=gem/5: changed
        account user:1 ceiling=gem/8: changed
        account user:1 ceiling=gem/8 credit_limit=coin/50: unchanged
        account user:1 credit_limit=coin/null ceiling=coin/null: changed
        account user:1 ceiling=coin/null: unchanged
        account user:1 credit_limit=none/5: the economy has no asset `none`
        account user:1 ceiling=none/null: the economy has no asset `none`
        account user:1 ceiling=gem/0: changed
        account user:1: unchanged
    "#]]
    .assert_eq(&world.output);
    let limits = |world: &World| {
        let account = world.books.account(&id("user:1"));
        account.expect("it exists").limits.clone()
    };
    let kept = limits(&world);
    assert_eq!(
        kept.credit_limit(&id("gem")),
        Limit::new(5).expect("a limit")
    );
    assert_eq!(kept.credit_limit(&id("coin")), Limit::ZERO);
    assert_eq!(kept.ceiling(&id("gem")), Limit::ZERO);
    assert_eq!(kept.ceiling(&id("coin")), Limit::MAX);
    world.run("account user:1 credit_limit=null ceiling=null");
    assert_eq!(limits(&world), AccountLimits::default());
    // Unset limits are not serialised.
    let json = serde_json::to_string(&world.books.account(&id("user:1"))).expect("JSON");
    expect![[
        r#"{"number":2,"balances":{"coin":{"posted":0,"held":0},"gem":{"posted":0,"held":0}}}"#
    ]]
    .assert_eq(&json);
}

#[test]
fn a_forced_reversal_takes_no_missing_item() {
    check(
        "asset coin
         asset item:crown kind=item max_supply=1
         account user:1
         account user:2
         account user:3
         issue user:1 item:crown 1
         issue user:1 coin 1
         transfer user:1 -> user:2 item:crown 1, user:1 -> user:2 coin 1
         transfer user:2 -> user:3 item:crown 1, user:2 -> user:3 coin 1
         reverse 2 of=1 user:2 -> user:1 item:crown 1 by=admin force=theft
         reverse 2 of=1 user:2 -> user:1 coin 1 by=admin force=theft
         reverse 4 of=3 user:3 -> user:1 item:crown 1 by=admin force=theft
         balance user:1 item:crown
         balance user:2 coin",
        &expect![[r#"
            reverse 2 of=1 user:2 -> user:1 item:crown 1 by=admin force=theft: `user:2` can spend 0 item:crown, and 1 are required
            balance user:1 item:crown: 1
            balance user:2 coin: -1
        "#]],
    );
}

#[test]
fn calls_see_the_credit_limit_of_the_requested_asset() {
    check(
        "asset coin
         asset gem
         account user:1 credit_limit=gem/9 ceiling=coin/5
         plugin shop component=a grants=requested enabled=true holds=stake/60/release
         issue plugin:shop coin 10; issue plugin:shop gem 10
         call A shop user:1
         A balance user:1 coin
         A balance user:1 gem
         A has user:1 gem 9
         A has user:1 coin 1
         A secure plugin:shop coin 6
         A secure plugin:shop gem 6
         A hold stake user:1 -> plugin:shop gem 9
         A reply
         balance user:1 gem
         violations",
        &expect![[r#"
            A balance user:1 coin: posted 0, held 0, spendable 0
            A balance user:1 gem: posted 0, held 0, spendable 9
            A has user:1 gem 9: yes
            A has user:1 coin 1: no
            A secure plugin:shop coin 6: refused, the receiving account could exceed its ceiling
            A reply: committed
            balance user:1 gem: 0, held 9
            violations: none
        "#]],
    );
}

#[test]
fn an_account_has_limits_in_1024_assets() {
    let mut world = World::after("asset coin");
    with_most_limits(&mut world);
    assert_eq!(world.rejections, []);
    // The kinds have separate bounds, and a removed limit no longer counts.
    world.run(
        "account user:1 ceiling=coin/1; account user:1 credit_limit=coin/1; account user:1 ceiling=extra0/2
         account user:1 ceiling=extra0/null,coin/1; account user:1 ceiling=extra0/1",
    );
    expect![[r#"
        account user:1 ceiling=coin/1: `user:1` may have a credit limit in 1024 assets and a ceiling in as many
        account user:1 credit_limit=coin/1: changed
        account user:1 ceiling=extra0/2: changed
        account user:1 ceiling=extra0/null,coin/1: changed
        account user:1 ceiling=extra0/1: `user:1` may have a credit limit in 1024 assets and a ceiling in as many
    "#]].assert_eq(&world.output);
    assert_eq!(violations(&world.books), []);
}

#[test]
fn a_limit_counts_as_a_balance_in_the_quota() {
    check(
        "asset coin
         asset gem
         account user:1
         issue user:1 coin 1
         used balances
         quota balances=2
         account user:1 ceiling=coin/5
         account user:1 ceiling=gem/5
         account user:1 credit_limit=gem/5
         account user:1 credit_limit=gem/null
         quota balances=3
         account user:1 ceiling=gem/5 credit_limit=gem/5
         account user:1 ceiling=gem/null
         used balances
         violations",
        &expect![[r#"
            used balances: balances 2 of 1000000
            quota balances=2: changed
            account user:1 ceiling=coin/5: changed
            account user:1 ceiling=gem/5: the economy has 2 balances of at most 2, and this needs more: free some, or ask the operator to raise the quota `balances`
            account user:1 credit_limit=gem/5: the economy has 2 balances of at most 2, and this needs more: free some, or ask the operator to raise the quota `balances`
            account user:1 credit_limit=gem/null: unchanged
            quota balances=3: changed
            account user:1 ceiling=gem/5 credit_limit=gem/5: changed
            account user:1 ceiling=gem/null: changed
            used balances: balances 3 of 3
            violations: none
        "#]],
    );
}

#[test]
fn invalid_limits_are_found() {
    let mut world = World::after(
        "asset coin
         asset item:crown kind=item
         account user:1 credit_limit=coin/5",
    );
    let account = world
        .books
        .accounts
        .get_mut(&id::<AccountId>("user:1"))
        .expect("it is there");
    // The ledger never creates such a record.
    let limits = r#"{"credit_limit":{"item:crown":5}}"#;
    account.limits = serde_json::from_str(limits).expect("limits");
    let user = id("user:1");
    let crown = id("item:crown");
    assert_eq!(
        violations(&world.books),
        [
            Violation::CreditOnItem {
                account: user,
                asset: crown
            },
            Violation::LimitWithoutBalance {
                account: id("user:1"),
                asset: id("item:crown")
            },
        ]
    );
}

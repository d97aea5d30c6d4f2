//! Calls of plugins: the accounts that they may use, the amounts that they may spend, and their view of
//! their own requests.

use expect_test::{Expect, expect};

use super::script::{World, check};

/// A shop without grants, accounts with money, and another plugin whose name has the same prefix.
pub(super) const SHOP: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    plugin shop component=a accounts=till enabled=true
    plugin shopping component=b
    issue user:1 coin 100
    issue user:1 gem 5
    issue user:2 coin 100
    issue plugin:shop coin 100
    issue plugin:shopping coin 100
    ";

pub(super) fn check_shop(script: &str, expected: &Expect) {
    check(&format!("{SHOP}{script}"), expected);
}

/// Checks a script on a shop with every kind of grant.
pub(super) fn check_granted(script: &str, expected: &Expect) {
    let install = "plugin shop component=c grants=requested enabled=true \
        requests=read/user:2,debit/user:2,debit/issuer:coin,credit/issuer:coin";
    let mut world = World::after(&format!("{SHOP}{install}"));
    world.output.clear();
    world.run(script);
    expected.assert_eq(&world.output);
}

#[test]
fn plugin_debits_only_itself_and_its_caller() {
    check_shop(
        "call A shop user:1
         A pay user:1 -> plugin:shop:till coin 10
         A pay plugin:shop -> user:2 coin 5
         A pay plugin:shop:till -> plugin:shop coin 1
         A pay user:2 -> user:1 coin 1
         A pay plugin:shopping -> user:1 coin 1
         A pay issuer:coin -> user:1 coin 1
         A pay user:1 -> issuer:coin coin 1
         A reply
         balance user:1 coin
         balance user:2 coin
         balance plugin:shop coin
         balance plugin:shop:till coin
         balance plugin:shopping coin",
        &expect![[r#"
            A pay user:2 -> user:1 coin 1: refused, the plugin has no grant to debit `user:2`: an operator grants it by {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns`
            A pay plugin:shopping -> user:1 coin 1: refused, the plugin has no grant to debit `plugin:shopping`: an operator can grant it once the manifest requests it, in `permissions.debit`
            A pay issuer:coin -> user:1 coin 1: refused, the plugin has no grant to debit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.debit`
            A pay user:1 -> issuer:coin coin 1: refused, the plugin has no grant to credit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.credit`
            A reply: committed
            balance user:1 coin: 90
            balance user:2 coin: 105
            balance plugin:shop coin: 96
            balance plugin:shop:till coin: 9
            balance plugin:shopping coin: 100
        "#]],
    );
}

#[test]
fn a_movement_to_itself_is_refused_and_the_call_goes_on() {
    check_shop(
        "call A shop user:1
         A pay user:1 -> user:1 coin 1
         A pay plugin:shop -> plugin:shop coin 1
         A pay user:1 -> plugin:shop coin 1
         A reply
         balance user:1 coin",
        &expect![[r"
            A pay user:1 -> user:1 coin 1: refused, a movement has two different accounts
            A pay plugin:shop -> plugin:shop coin 1: refused, a movement has two different accounts
            A reply: committed
            balance user:1 coin: 99
        "]],
    );
}

#[test]
fn plugin_reads_only_itself_and_its_caller() {
    check_shop(
        "call A shop user:1
         A balance user:1 coin
         A balance plugin:shop coin
         A balance plugin:shop:till coin
         A has user:1 gem 5
         A has user:1 gem 6
         A balance user:2 coin
         A has user:2 coin 1
         A balance plugin:shopping coin
         A balance issuer:coin coin",
        &expect![[r#"
            A balance user:1 coin: posted 100, held 0, spendable 100
            A balance plugin:shop coin: posted 100, held 0, spendable 100
            A balance plugin:shop:till coin: posted 0, held 0, spendable 0
            A has user:1 gem 5: yes
            A has user:1 gem 6: no
            A balance user:2 coin: refused, the plugin has no grant to read `user:2`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A has user:2 coin 1: refused, the plugin has no grant to read `user:2`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A balance plugin:shopping coin: refused, the plugin has no grant to read `plugin:shopping`: an operator can grant it once the manifest requests it, in `permissions.read`
            A balance issuer:coin coin: refused, the plugin has no grant to read `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.read`
        "#]],
    );
}

#[test]
fn grants_allow_the_accounts_that_they_name() {
    check_granted(
        "call A shop user:1
         A balance user:2 coin
         A has user:2 coin 100
         A pay user:2 -> user:1 coin 7
         A pay issuer:coin -> user:1 coin 1000
         A pay user:1 -> issuer:coin coin 500
         A pay issuer:coin -> user:1 gem 1
         A pay user:1 -> issuer:coin gem 1
         A pay issuer:gem -> user:1 gem 1
         A pay user:1 -> issuer:gem gem 1
         A balance issuer:coin coin
         A reply
         balance user:1 coin
         balance issuer:coin coin",
        &expect![[r#"
            A balance user:2 coin: posted 100, held 0, spendable 100
            A has user:2 coin 100: yes
            A pay issuer:coin -> user:1 gem 1: refused, the plugin has no grant to move gem on `issuer:coin`, which issues another asset
            A pay user:1 -> issuer:coin gem 1: refused, the plugin has no grant to move gem on `issuer:coin`, which issues another asset
            A pay issuer:gem -> user:1 gem 1: refused, the plugin has no grant to debit `issuer:gem`: an operator can grant it once the manifest requests it, in `permissions.debit`
            A pay user:1 -> issuer:gem gem 1: refused, the plugin has no grant to credit `issuer:gem`: an operator can grant it once the manifest requests it, in `permissions.credit`
            A balance issuer:coin coin: refused, the plugin has no grant to read `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.read`
            A reply: committed
            balance user:1 coin: 607
            balance issuer:coin coin: -900
        "#]],
    );
}

#[test]
fn issuing_plugin_meets_the_supply_limit() {
    check_granted(
        "patch coin max_supply=400
         call A shop user:1
         A pay issuer:coin -> user:1 coin 1
         A reply
         balance user:1 coin",
        &expect![[r#"
            patch coin max_supply=400: changed
            A reply: 400 of at most 400 coin are in circulation; 1 more are too many
            balance user:1 coin: 100
        "#]],
    );
}

/// The refusal of a read or a debit without a grant does not say whether the account exists. A credit needs no grant,
/// and its refusal does say so.
#[test]
fn missing_grant_hides_whether_an_account_exists() {
    check_shop(
        "call A shop user:1
         A balance user:9 coin
         A balance user:9 nothing
         A pay user:9 -> user:1 coin 1
         A secure plugin:other coin 1
         A balance user:1 nothing
         A balance plugin:shop:none coin
         A pay user:1 -> user:9 coin 1
         A pay user:1 -> user:2 nothing 1
         A secure plugin:shop:none coin 1
         A reply",
        &expect![[r#"
            A balance user:9 coin: refused, the plugin has no grant to read `user:9`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A balance user:9 nothing: refused, the plugin has no grant to read `user:9`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A pay user:9 -> user:1 coin 1: refused, the plugin has no grant to debit `user:9`: an operator grants it by {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns`
            A secure plugin:other coin 1: refused, the plugin has no grant to secure on `plugin:other`, which is no account of its own
            A balance user:1 nothing: refused, the economy has no asset `nothing`
            A balance plugin:shop:none coin: refused, the economy has no account `plugin:shop:none`
            A pay user:1 -> user:9 coin 1: refused, the economy has no account `user:9`
            A pay user:1 -> user:2 nothing 1: refused, the economy has no asset `nothing`
            A secure plugin:shop:none coin 1: refused, the economy has no account `plugin:shop:none`
            A reply: committed
        "#]],
    );
}

#[test]
fn caller_is_a_members_open_account() {
    check_shop(
        "call A shop user:9
         call A shop plugin:shop
         call A shop issuer:coin
         call A shopping user:1
         call A none user:1
         A reply",
        &expect![[r#"
            call A shop user:9: not run, the economy has no account `user:9`
            call A shop plugin:shop: not run, `plugin:shop` is created by the server, with the asset or the plugin
            call A shop issuer:coin: not run, `issuer:coin` is created by the server, with the asset or the plugin
            call A shopping user:1: not run, the plugin `shopping` is disabled
            call A none user:1: not run, the plugin `none` is disabled
            A reply: the plugin `none` is disabled
        "#]],
    );
}

#[test]
fn call_sees_its_own_requests() {
    check_shop(
        "account user:1 credit_limit=coin/20
         call A shop user:1
         A pay user:1 -> plugin:shop coin 90
         A balance user:1 coin
         A balance plugin:shop coin
         A has user:1 coin 30
         A has user:1 coin 31
         A pay plugin:shop -> user:1 coin 40
         A balance user:1 coin
         A has user:1 coin 70
         A has user:1 coin 71
         A balance user:1 gem",
        &expect![[r#"
            account user:1 credit_limit=coin/20: changed
            A balance user:1 coin: posted 10, held 0, spendable 30
            A balance plugin:shop coin: posted 190, held 0, spendable 190
            A has user:1 coin 30: yes
            A has user:1 coin 31: no
            A balance user:1 coin: posted 50, held 0, spendable 70
            A has user:1 coin 70: yes
            A has user:1 coin 71: no
            A balance user:1 gem: posted 5, held 0, spendable 5
        "#]],
    );
}

/// A call may request a movement that its source does not cover; the ledger rejects it at commit.
#[test]
fn a_call_that_overspends_is_rejected_at_commit() {
    check_shop(
        "call A shop user:1
         A pay user:1 -> plugin:shop coin 101
         A balance user:1 coin
         A set sold 1
         A reply
         balance user:1 coin
         state shop",
        &expect![[r#"
            A balance user:1 coin: posted -1, held 0, spendable 0
            A reply: `user:1` can spend 100 coin, and 101 are required
            balance user:1 coin: 100
            state shop: none
        "#]],
    );
}

#[test]
fn refusal_lets_the_call_go_on() {
    check_shop(
        "call A shop user:1
         A pay user:1 -> user:9 coin 1
         A pay user:1 -> user:2 coin 1
         A balance user:1 coin
         A reply
         balance user:1 coin",
        &expect![[r#"
            A pay user:1 -> user:9 coin 1: refused, the economy has no account `user:9`
            A balance user:1 coin: posted 99, held 0, spendable 99
            A reply: committed
            balance user:1 coin: 99
        "#]],
    );
}

#[test]
fn call_without_requests_commits_nothing() {
    let mut world = World::after(SHOP);
    let before = world.books.clone();
    world.run("call A shop user:1; A balance user:1 coin; A reply");
    let decision = world.decisions.last().expect("the call was applied");
    assert_eq!(decision.movements(), []);
    assert_eq!(decision.changes(), []);
    assert_eq!(world.books.accounts(), before.accounts());
    assert_eq!(world.books.plugins(), before.plugins());
}

#[test]
fn a_spend_limit_counts_debits_without_credits() {
    check_shop(
        "call A shop user:1 spend=coin/10
         A pay user:1 -> plugin:shop coin 6
         A pay plugin:shop -> user:1 coin 6
         A pay user:1 -> plugin:shop coin 5
         A pay user:1 -> plugin:shop coin 4
         A pay user:1 -> user:2 coin 1
         A pay plugin:shop -> user:2 coin 50
         A reply
         balance user:1 coin",
        &expect![[r#"
            A pay user:1 -> plugin:shop coin 5: refused, 11 coin would leave the caller, and at most 10 may
            A pay user:1 -> user:2 coin 1: refused, 11 coin would leave the caller, and at most 10 may
            A reply: committed
            balance user:1 coin: 96
        "#]],
    );
}

#[test]
fn an_asset_without_a_spend_limit_cannot_be_debited() {
    check_shop(
        "call A shop user:1 spend=coin/10
         A pay user:1 -> plugin:shop gem 1
         call B shop user:1 spend=none
         B pay user:1 -> plugin:shop coin 1
         call C shop user:1 spend=coin/0
         C pay user:1 -> plugin:shop coin 1
         call D shop user:1
         D pay user:1 -> plugin:shop gem 5
         D pay user:1 -> plugin:shop coin 100
         D reply",
        &expect![[r#"
            A pay user:1 -> plugin:shop gem 1: refused, 1 gem would leave the caller, and at most 0 may
            B pay user:1 -> plugin:shop coin 1: refused, 1 coin would leave the caller, and at most 0 may
            C pay user:1 -> plugin:shop coin 1: refused, 1 coin would leave the caller, and at most 0 may
            D reply: committed
        "#]],
    );
}

#[test]
fn smaller_of_both_caps_holds() {
    let install = "plugin shop component=c grants=requested enabled=true requests=spend/coin/10";
    check_shop(
        &format!(
            "{install}
             call A shop user:1
             A pay user:1 -> plugin:shop coin 11
             A pay user:1 -> plugin:shop gem 1
             A pay user:1 -> plugin:shop coin 10
             call B shop user:1 spend=coin/5,gem/5
             B pay user:1 -> plugin:shop coin 6
             B pay user:1 -> plugin:shop gem 1
             B pay user:1 -> plugin:shop coin 5
             call C shop user:1 spend=coin/50
             C pay user:1 -> plugin:shop coin 11
             C pay user:1 -> plugin:shop coin 10"
        ),
        &expect![[r#"
            plugin shop component=c grants=requested enabled=true requests=spend/coin/10: changed
            A pay user:1 -> plugin:shop coin 11: refused, 11 coin would leave the caller, and at most 10 may
            A pay user:1 -> plugin:shop gem 1: refused, 1 gem would leave the caller, and at most 0 may
            B pay user:1 -> plugin:shop coin 6: refused, 6 coin would leave the caller, and at most 5 may
            B pay user:1 -> plugin:shop gem 1: refused, 1 gem would leave the caller, and at most 0 may
            C pay user:1 -> plugin:shop coin 11: refused, 11 coin would leave the caller, and at most 10 may
        "#]],
    );
}

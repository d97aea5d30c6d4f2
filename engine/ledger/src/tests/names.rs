//! Installations whose names are not the plugin's id: one component may have several.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{Digest, PluginName};

const SHOPS: &str = "
    asset coin
    account user:1
    account user:2
    plugin shop component=a accounts=till grants=requested enabled=true holds=stake/60/release \
        requests=debit/issuer:coin,daily/coin/30,issue/coin/5 schedules=pay/60/catch_up
    plugin market of=shop component=a accounts=till grants=requested enabled=true \
        holds=stake/60/release requests=debit/issuer:coin,daily/coin/30,issue/coin/5 \
        schedules=pay/60/catch_up
    issue user:1 coin 100
    issue plugin:shop coin 10
    issue plugin:market coin 10
";

fn check_shops(script: &str, expected: &expect_test::Expect) {
    check(&format!("{SHOPS}{script}"), expected);
}

#[test]
fn two_installations_of_one_component_share_nothing() {
    check_shops(
        "call A shop user:1; A set k 1; A pay user:1 -> plugin:shop:till coin 7; A reply
         call B market user:1; B get k; B set k 2; B pay user:1 -> plugin:market:till coin 3
         B reply
         state shop
         state market
         balance plugin:shop:till coin
         balance plugin:market:till coin
         call C market user:1; C pay plugin:shop:till -> user:1 coin 1
         C balance plugin:shop coin
         call D shop user:1; D hold stake user:1 -> plugin:shop coin 4; D reply
         call E market user:1; E capture D/0; E release D/0
         call F shop user:1; F capture D/0; F reply",
        &expect![[r#"
            A reply: committed
            B get k: absent
            B reply: committed
            state shop: k=1
            state market: k=2
            balance plugin:shop:till coin: 7
            balance plugin:market:till coin: 3
            C pay plugin:shop:till -> user:1 coin 1: refused, the plugin has no grant to debit `plugin:shop:till`: an operator can grant it once the manifest requests it, in `permissions.debit`
            C balance plugin:shop coin: refused, the plugin has no grant to read `plugin:shop`: an operator can grant it once the manifest requests it, in `permissions.read`
            D reply: committed
            E capture D/0: refused, the plugin has no open hold 3f39d5c3-48e5-b79d-06e8-42c114e6cc56
            E release D/0: refused, the plugin has no open hold 3f39d5c3-48e5-b79d-06e8-42c114e6cc56
            F reply: committed
        "#]],
    );
}

#[test]
fn each_installation_has_its_own_daily_budgets() {
    check_shops(
        "call A shop user:1; A pay user:1 -> plugin:shop coin 30; A reply
         call B shop user:1; B pay user:1 -> plugin:shop coin 1; B reply
         call C market user:1; C pay user:1 -> plugin:market coin 30; C reply
         call D shop user:1; D pay issuer:coin -> user:1 coin 5; D reply
         call E shop user:1; E pay issuer:coin -> user:1 coin 1; E reply
         call F market user:1; F pay issuer:coin -> user:1 coin 5; F reply",
        &expect![[r#"
            A reply: committed
            B reply: `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 31
            C reply: committed
            D reply: committed
            E reply: `shop` may move 5 coin a day by `issue_per_day`, and this would make 6
            F reply: committed
        "#]],
    );
}

#[test]
fn each_installation_has_its_own_due_times() {
    check_shops(
        "wait 60
         call A shop plugin:shop due=60000 action=pay; A pay plugin:shop -> user:1 coin 1
         A reply
         due shop
         due market
         call B market plugin:shop due=60000 action=pay
         call C market plugin:market due=60000 action=pay; C pay plugin:market -> user:1 coin 1
         C reply
         due market",
        &expect![[r#"
            A reply: committed
            due shop: pay at 120000
            due market: pay at 60000
            call B market plugin:shop due=60000 action=pay: not run, `plugin:shop` is created by the server, with the asset or the plugin
            C reply: committed
            due market: pay at 120000
        "#]],
    );
}

#[test]
fn removing_one_installation_keeps_the_other() {
    check_shops(
        "call A shop user:1; A hold stake user:1 -> plugin:shop coin 4; A set k 1; A reply
         call B market user:1; B hold stake user:1 -> plugin:market coin 5; B set k 2; B reply
         remove_plugin shop
         expire A/0
         expire B/0
         state market
         call C market user:1; C capture B/0; C reply
         balance plugin:market coin
         balance plugin:shop coin
         violations",
        &expect![[r#"
            A reply: committed
            B reply: committed
            remove_plugin shop: changed
            expire A/0: changed
            expire B/0: the hold df7e70e5-0215-44f4-834b-bee64a9e3788 has ended
            state market: k=2
            C reply: committed
            balance plugin:market coin: 15
            balance plugin:shop coin: 10
            violations: none
        "#]],
    );
}

/// Its accounts keep their money, which another plugin under the name could spend.
#[test]
fn a_name_stays_bound_to_its_plugin_after_removal() {
    check_shops(
        "plugin market of=bank component=b
         remove_plugin market
         plugin market of=bank component=b
         plugin market component=b
         plugin market of=shop component=b enabled=true
         roll_back market
         plugin stall of=bank component=b
         balance plugin:market coin",
        &expect![[r#"
            plugin market of=bank component=b: the name `market` is bound to the plugin `shop`, whose accounts are kept even if it is uninstalled: install `bank` under another name
            remove_plugin market: changed
            plugin market of=bank component=b: the name `market` is bound to the plugin `shop`, whose accounts are kept even if it is uninstalled: install `bank` under another name
            plugin market component=b: the name `market` is bound to the plugin `shop`, whose accounts are kept even if it is uninstalled: install `market` under another name
            roll_back market: the plugin `market` has no earlier component or configuration to restore
            balance plugin:market coin: 10
        "#]],
    );
}

#[test]
fn a_component_with_fixed_accounts_is_installed_only_under_its_own_id() {
    check_shops(
        "plugin stall of=shop component=old fixed=true
         plugin shop of=shop component=old fixed=true
         plugin market of=shop component=old fixed=true",
        &expect![[r#"
            plugin stall of=shop component=old fixed=true: this component derives its accounts from its own id, `shop`, and cannot be installed as `stall`: install it as `shop`, or build it against version 0.2.0 of the contract
            plugin shop of=shop component=old fixed=true: changed
            plugin market of=shop component=old fixed=true: this component derives its accounts from its own id, `shop`, and cannot be installed as `market`: install it as `shop`, or build it against version 0.2.0 of the contract
        "#]],
    );
}

#[test]
fn an_installation_says_which_plugin_it_is() {
    let books = World::after(SHOPS).books;
    for name in ["shop", "market"] {
        let name: PluginName = id(name);
        let installation = &books.plugin(&name).expect("it is installed").installation;
        assert_eq!(installation.id.as_str(), "shop");
        assert_eq!(installation.component, Digest::of(b"a"));
    }
}

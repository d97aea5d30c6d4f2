//! Budgets of plugins: counted when calls commit, and never a conflict.

use expect_test::expect;

use super::script::check;

const SHOP: &str = "
    asset coin
    account user:1
    account user:2
    plugin shop component=a grants=requested enabled=true holds=stake/60/release \
        requests=daily/coin/30,issue/coin/20,debit/issuer:coin
    issue user:1 coin 100
    issue user:2 coin 100
    issue plugin:shop coin 50
";

fn check_shop(script: &str, expected: &expect_test::Expect) {
    check(&format!("{SHOP}{script}"), expected);
}

#[test]
fn a_member_spends_exactly_the_daily_budget() {
    check_shop(
        "call A shop user:1; A pay user:1 -> plugin:shop coin 20; A reply
         call B shop user:1; B pay user:1 -> plugin:shop coin 11; B reply
         call C shop user:1; C hold stake user:1 -> plugin:shop coin 10; C reply
         call D shop user:1; D pay user:1 -> plugin:shop coin 1; D reply
         call E shop user:2; E pay user:2 -> plugin:shop coin 30; E reply
         wait 86400
         call F shop user:1; F pay user:1 -> plugin:shop coin 31; F reply
         call G shop user:1; G pay user:1 -> plugin:shop coin 30; G reply
         balance user:1 coin",
        &expect![[r#"
            A reply: committed
            B reply: `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 31
            C reply: committed
            D reply: `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 31
            E reply: committed
            F reply: `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 31
            G reply: committed
            balance user:1 coin: 50, held 10
        "#]],
    );
}

#[test]
fn an_asset_without_a_spend_cap_cannot_be_spent() {
    check_shop(
        "asset gem; issue user:1 gem 5
         call A shop user:1; A pay user:1 -> plugin:shop gem 1; A reply",
        &expect![[r#"
            A reply: `shop` may move 0 gem a day by `spend_per_member_per_day`, and this would make 1
        "#]],
    );
}

#[test]
fn a_plugin_issues_exactly_its_daily_budget() {
    check_shop(
        "call A shop user:1; A pay issuer:coin -> user:1 coin 20; A reply
         call B shop user:2; B pay issuer:coin -> user:2 coin 1; B reply
         wait 86400
         call C shop user:2; C pay issuer:coin -> user:2 coin 20; C reply",
        &expect![[r#"
            A reply: committed
            B reply: `shop` may move 20 coin a day by `issue_per_day`, and this would make 21
            C reply: committed
        "#]],
    );
}

/// Two calls that ran on one snapshot: the second is refused, and does not run again.
#[test]
fn a_used_budget_refuses_a_call_without_another_attempt() {
    check_shop(
        "call A shop user:1; A pay user:1 -> plugin:shop coin 20
         call B shop user:1; B pay user:1 -> plugin:shop coin 20
         A reply
         B reply",
        &expect![[r#"
            A reply: committed
            B reply: `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 40
        "#]],
    );
}

#[test]
fn a_budget_that_is_used_up_ends_a_bet_before_it_draws() {
    check_shop(
        "call A shop user:1; A pay user:1 -> plugin:shop coin 20; A draw 2
         call B shop user:1; B pay user:1 -> plugin:shop coin 20; B reply
         A reply
         call A shop user:1; A pay user:1 -> plugin:shop coin 20; A draw 2
         A stop
         seeds",
        &expect![[r#"
            A draw 2: drew 0
            B reply: committed
            A reply: stale
            A draw 2: ends, `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 40
            A stop: on record, `shop` may move 30 coin a day by `spend_per_member_per_day`, and this would make 40
            seeds: seed 1, 0 draws, hidden from 1, next nonce 2, open []
        "#]],
    );
}

#[test]
fn grants_narrow_budgets_and_never_widen_them() {
    check_shop(
        "plugin shop grants=daily/coin/31
         plugin shop grants=daily/coin/10
         call A shop user:1; A pay user:1 -> plugin:shop coin 11; A reply
         call B shop user:1; B pay user:1 -> plugin:shop coin 10; B reply
         plugin shop grants=issue/coin/21
         plugin shop grants=state/2000000
         plugin shop grants=state/2
         call C shop user:1; C set k v; C reply
         call D shop user:1; D set k vv; D reply",
        &expect![[r#"
            plugin shop grants=daily/coin/31: `grants.spend_per_member_per_day` exceeds what the manifest requests: it requests at most 30 coin
            plugin shop grants=daily/coin/10: changed
            A reply: `shop` may move 10 coin a day by `spend_per_member_per_day`, and this would make 11
            B reply: committed
            plugin shop grants=issue/coin/21: `grants.issue_per_day` exceeds what the manifest requests: it requests at most 20 coin
            plugin shop grants=state/2000000: `grants.state_bytes` exceeds what the manifest requests: it requests 1048576 bytes
            plugin shop grants=state/2: changed
            C reply: committed
            D reply: the plugin `shop` would keep 3 bytes of state, of at most 2
        "#]],
    );
}

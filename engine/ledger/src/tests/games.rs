//! Holds that plugins place by rules of the manifest and end in later calls.

use expect_test::expect;

use super::script::check;

const TRADE: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    account user:3 ceiling=coin/5
    account user:4 status=frozen
    plugin trade component=a grants=requested enabled=true holds=offer/60/release,bet/60/capture
    plugin other component=b grants=requested enabled=true holds=offer/60/release
    issue user:1 coin 100
    issue user:2 gem 10
    issue plugin:trade coin 20
";

fn check_trade(script: &str, expected: &expect_test::Expect) {
    check(&format!("{TRADE}{script}"), expected);
}

#[test]
fn an_offer_is_held_and_captured_by_a_later_call_of_someone_else() {
    check_trade(
        "call A trade user:1
         A hold offer user:1 -> user:2 coin 30
         A balance user:1 coin
         A left A/0
         A reply
         balance user:1 coin
         call B trade user:2
         B capture A/0 10
         B left A/0
         B pay user:2 -> user:1 gem 3
         B capture A/0
         B left A/0
         B reply
         balance user:1 coin
         balance user:1 gem
         balance user:2 coin
         violations",
        &expect![[r#"
            A balance user:1 coin: posted 100, held 30, spendable 70
            A left A/0: 30 left
            A reply: committed
            balance user:1 coin: 100, held 30
            B left A/0: 20 left
            B left A/0: ended
            B reply: committed
            balance user:1 coin: 70
            balance user:1 gem: 3
            balance user:2 coin: 30
            violations: none
        "#]],
    );
}

#[test]
fn a_plugin_ends_only_holds_that_it_has_placed() {
    check_trade(
        "hold 1 user:1 -> user:2 coin 5
         call A trade user:1; A hold offer user:1 -> user:2 coin 30; A reply
         call B other user:1
         B capture A/0
         B release A/0
         B keep A/0
         B left A/0
         B release B/0
         B reply
         balance user:1 coin",
        &expect![[r#"
            A reply: committed
            B capture A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B release A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B keep A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B left A/0: ended
            B release B/0: refused, the plugin has no open hold df7e70e5-0215-44f4-834b-bee64a9e3788
            B reply: committed
            balance user:1 coin: 100, held 35
        "#]],
    );
}

#[test]
fn a_plugin_holds_only_funds_that_it_may_debit_and_by_declared_rules() {
    check_trade(
        "call A trade user:1
         A hold none user:1 -> user:2 coin 1
         A hold offer user:2 -> user:1 gem 1
         A hold offer issuer:coin -> user:1 coin 1
         A hold offer user:1 -> issuer:coin coin 1
         A hold offer user:1 -> user:1 coin 1
         A hold offer user:1 -> user:9 coin 1
         A hold offer user:1 -> user:2 gold 1
         A hold offer user:1 -> user:3 coin 6
         A hold offer user:1 -> user:4 coin 1
         A hold offer plugin:trade -> user:1 coin 20
         A hold offer plugin:trade -> user:1 coin 1
         A reply",
        &expect![[r#"
            A hold none user:1 -> user:2 coin 1: refused, the manifest has no kind of hold `none`
            A hold offer user:2 -> user:1 gem 1: refused, the plugin has no grant to debit `user:2`: an operator grants it by {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns`
            A hold offer issuer:coin -> user:1 coin 1: refused, the plugin has no grant to debit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.debit`
            A hold offer user:1 -> issuer:coin coin 1: refused, the plugin has no grant to reserve amounts of or for `issuer:coin`
            A hold offer user:1 -> user:1 coin 1: refused, a movement has two different accounts
            A hold offer user:1 -> user:9 coin 1: refused, the economy has no account `user:9`
            A hold offer user:1 -> user:2 gold 1: refused, the economy has no asset `gold`
            A hold offer user:1 -> user:3 coin 6: refused, the receiving account could exceed its ceiling
            A hold offer user:1 -> user:4 coin 1: refused, the receiving account could exceed its ceiling
            A reply: `plugin:trade` can spend 0 coin, and 1 are required
        "#]],
    );
}

#[test]
fn a_new_hold_counts_as_spent_and_its_capture_does_not() {
    check_trade(
        "call A trade user:1 spend=coin/30
         A hold offer user:1 -> user:2 coin 20
         A pay user:1 -> user:2 coin 11
         A pay user:1 -> user:2 coin 10
         A capture A/0
         A reply
         balance user:1 coin
         call B trade user:1; B hold offer user:1 -> user:2 coin 20; B reply
         call C trade user:1 spend=none
         C capture B/0
         C reply
         balance user:1 coin",
        &expect![[r#"
            A pay user:1 -> user:2 coin 11: refused, 31 coin would leave the caller, and at most 30 may
            A reply: committed
            balance user:1 coin: 70
            B reply: committed
            C reply: committed
            balance user:1 coin: 50
        "#]],
    );
}

#[test]
fn a_call_runs_again_if_a_hold_that_it_used_has_ended() {
    check_trade(
        "call A trade user:1; A hold offer user:1 -> user:2 coin 30; A reply
         call B trade user:2; B capture A/0
         call C trade user:1; C release A/0; C reply
         B reply
         call B trade user:2; B capture A/0
         B reply",
        &expect![[r#"
            A reply: committed
            C reply: committed
            B reply: stale
            B capture A/0: refused, the plugin has no open hold 559aead0-8264-d579-5d39-09718cdd05aa
            B reply: committed
        "#]],
    );
}

#[test]
fn holds_end_by_the_rule_of_the_manifest() {
    check_trade(
        "call A trade user:1
         A hold offer user:1 -> user:2 coin 30
         A hold bet user:1 -> plugin:trade coin 5
         A reply
         balance user:1 coin
         wait 60
         call B trade user:1; B left A/0; B reply",
        &expect![[r#"
            A reply: committed
            balance user:1 coin: 100, held 35
            B left A/0: ended
            B reply: committed
        "#]],
    );
}

#[test]
fn an_amount_held_in_a_call_cannot_be_spent_in_it() {
    check_trade(
        "call A trade user:1
         A hold offer user:1 -> user:2 coin 60
         A pay user:1 -> user:2 coin 41
         A reply
         call B trade user:1
         B hold offer user:1 -> user:2 coin 60
         B release B/0
         B pay user:1 -> user:2 coin 100
         B reply
         balance user:1 coin
         violations",
        &expect![[r#"
            A reply: `user:1` can spend 40 coin, and 41 are required
            B reply: committed
            balance user:1 coin: 0
            violations: none
        "#]],
    );
}

//! Requests that must be allowed: a limit of one member or asset does not bind another.

use expect_test::{Expect, expect};

use super::script::check;

/// Two members, and a plugin with every kind of grant in two assets.
const SHOP: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    account user:3
    plugin shop component=a accounts=till grants=requested enabled=true holds=stake/60/capture \
        requests=debit/user:2,debit/issuer:coin
    issue user:1 coin 100
    issue user:1 gem 100
    issue user:2 coin 100
    issue user:2 gem 100
    issue plugin:shop coin 100
    issue plugin:shop gem 100
";

fn check_shop(script: &str, expected: &Expect) {
    check(&format!("{SHOP}{script}"), expected);
}

#[test]
fn only_the_callers_own_money_counts_against_its_limits() {
    check_shop(
        "call A shop user:1 spend=coin/5 cap=coin/5
         A pay user:1 -> plugin:shop coin 5
         A pay user:2 -> plugin:shop coin 50
         A pay issuer:coin -> user:1 coin 50
         A pay plugin:shop -> user:2 coin 60
         A hold stake user:2 -> plugin:shop coin 20
         A hold stake plugin:shop -> user:1 coin 20
         A reply
         call B shop user:1 spend=none
         B pay user:2 -> user:1 gem 10
         B pay plugin:shop -> plugin:shop:till gem 10
         B reply
         balance user:1 coin
         balance user:2 coin",
        &expect![[r#"
            A reply: committed
            B reply: committed
            balance user:1 coin: 145
            balance user:2 coin: 110, held 20
        "#]],
    );
}

/// A plugin's own money is not limited by the caps of members, even if the plugin is the caller.
#[test]
fn a_run_that_is_due_spends_its_own_money_beyond_the_caps_of_members() {
    check_shop(
        "plugin shop component=b grants=requested enabled=true schedules=pay/60/skip \
            requests=spend/coin/1,daily/coin/1
         wait 60
         call A shop plugin:shop due=60000 action=pay
         A pay plugin:shop -> user:1 coin 50
         A reply
         balance user:1 coin",
        &expect![[r#"
            plugin shop component=b grants=requested enabled=true schedules=pay/60/skip requests=spend/coin/1,daily/coin/1: changed
            A reply: committed
            balance user:1 coin: 150
        "#]],
    );
}

#[test]
fn budgets_count_each_member_and_each_asset_by_itself() {
    check_shop(
        "plugin shop component=b grants=requested enabled=true requests=daily/coin/30,daily/gem/20
         call A shop user:1
         A pay user:1 -> plugin:shop coin 30
         A pay user:1 -> plugin:shop gem 20
         A reply
         call B shop user:2
         B pay user:2 -> plugin:shop coin 30
         B pay user:2 -> plugin:shop gem 20
         B reply
         call C shop user:1; C pay user:1 -> plugin:shop gem 1; C reply",
        &expect![[r#"
            plugin shop component=b grants=requested enabled=true requests=daily/coin/30,daily/gem/20: changed
            A reply: committed
            B reply: committed
            C reply: `shop` may move 20 gem a day by `spend_per_member_per_day`, and this would make 21
        "#]],
    );
}

/// Room that is reserved for one member binds neither another member nor another asset.
#[test]
fn reserved_room_belongs_to_one_balance() {
    check_shop(
        "account user:1 ceiling=coin/115
         account user:2 ceiling=coin/115
         call A shop user:1
         A hold stake plugin:shop -> user:1 coin 15
         A hold stake plugin:shop -> user:1 gem 15
         A hold stake plugin:shop -> user:2 coin 15
         A hold stake plugin:shop -> user:2 gem 15
         A draw 2
         A capture A/0
         A capture A/1
         A capture A/2
         A capture A/3
         A reply
         balance user:1 coin
         balance user:2 gem",
        &expect![[r#"
            account user:1 ceiling=coin/115: changed
            account user:2 ceiling=coin/115: changed
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 115
            balance user:2 gem: 115
        "#]],
    );
}

#[test]
fn amounts_secured_take_room_of_the_caller_in_their_asset_alone() {
    check_shop(
        "account user:1 ceiling=coin/110
         account user:2 ceiling=coin/110
         call A shop user:1
         A secure plugin:shop coin 10
         A secure plugin:shop gem 10
         A hold stake user:1 -> user:2 coin 10
         A hold stake user:1 -> user:2 gem 10
         A draw 2
         A pay plugin:shop -> user:1 coin 10
         A pay plugin:shop -> user:1 gem 10
         A capture A/0
         A capture A/1
         A reply
         balance user:1 coin
         balance user:2 gem",
        &expect![[r#"
            account user:1 ceiling=coin/110: changed
            account user:2 ceiling=coin/110: changed
            A draw 2: drew 0
            A reply: committed
            balance user:1 coin: 100
            balance user:2 gem: 110
        "#]],
    );
}

/// A stake is covered by the balance of its own member in its own asset.
#[test]
fn stakes_are_secured_each_on_its_own_balance() {
    check_shop(
        "call A shop user:1
         A hold stake user:1 -> plugin:shop coin 100
         A hold stake user:1 -> plugin:shop gem 100
         A hold stake user:2 -> plugin:shop coin 100
         A reply
         call B shop user:2
         B keep A/0
         B keep A/1
         B keep A/2
         B draw 2
         B capture A/0
         B capture A/1
         B capture A/2
         B reply
         balance plugin:shop coin
         balance plugin:shop gem",
        &expect![[r#"
            A reply: committed
            B draw 2: drew 0
            B reply: committed
            balance plugin:shop coin: 300
            balance plugin:shop gem: 200
        "#]],
    );
}

/// A game continues while stakes of another member or of another game are open.
#[test]
fn holds_of_other_members_and_games_block_no_capture() {
    check_shop(
        "plugin game component=g grants=requested enabled=true holds=stake/60/capture
         call A game user:1; A hold stake user:1 -> plugin:game coin 90; A reply
         hold 1 user:2 -> user:1 coin 90
         call B shop user:1
         B hold stake user:1 -> user:3 coin 10
         B pay user:1 -> plugin:shop gem 100
         B draw 2
         B capture B/0
         B reply
         call C game user:1; C release A/0; C reply
         capture 1 90
         balance user:1 coin
         violations",
        &expect![[r#"
            A reply: committed
            B draw 2: drew 0
            B reply: committed
            C reply: committed
            balance user:1 coin: 180
            violations: none
        "#]],
    );
}

/// A capture of an unsecured hold is checked for room only if its destination has reserved room.
#[test]
fn an_unsecured_hold_is_captured_where_no_room_is_reserved() {
    check_shop(
        "account user:3 ceiling=coin/20
         call A shop user:1
         A hold stake user:1 -> user:3 coin 20
         A hold stake user:1 -> user:3 gem 20
         A reply
         call B shop user:1
         B capture A/0 12
         B capture A/0 8
         B capture A/1
         B reply
         balance user:3 coin
         balance user:3 gem",
        &expect![[r#"
            account user:3 ceiling=coin/20: changed
            A reply: committed
            B reply: committed
            balance user:3 coin: 20
            balance user:3 gem: 20
        "#]],
    );
}

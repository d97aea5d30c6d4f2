//! Changes of an installation: another component, a rollback, a removal, and their effect on schedules.

use expect_test::expect;

use super::script::{World, check, id};

const BANK: &str = "
    asset coin
    account user:1
    account user:2
    plugin bank component=a grants=requested enabled=true \
        holds=stake/60/capture,bid/60/release schedules=pay/60/catch_up,tidy/60/skip
    issue user:1 coin 100
    issue plugin:bank coin 50
";

pub(super) fn check_bank(script: &str, expected: &expect_test::Expect) {
    check(&format!("{BANK}{script}"), expected);
}

#[test]
fn a_rollback_restores_the_earlier_component_with_its_installation() {
    check_bank(
        "roll_back bank
         call A bank user:1; A set k v; A reply
         plugin bank component=b config={\"rate\":2} grants=requested enabled=true
         call B bank user:1; B get k; B reply
         roll_back bank
         call C bank user:1; C get k; C hold bid user:1 -> plugin:bank coin 1; C reply
         roll_back bank
         call D bank user:1; D hold bid user:1 -> plugin:bank coin 1",
        &expect![[r#"
            roll_back bank: the plugin `bank` has no earlier component or configuration to restore
            A reply: committed
            plugin bank component=b config={"rate":2} grants=requested enabled=true: changed
            B get k: v
            B reply: committed
            roll_back bank: changed
            C get k: v
            C reply: committed
            roll_back bank: changed
            D hold bid user:1 -> plugin:bank coin 1: refused, the manifest has no kind of hold `bid`
        "#]],
    );
}

#[test]
fn an_uninstalled_plugin_leaves_accounts_and_its_holds_end_by_their_own_rule() {
    check_bank(
        "call A bank user:1
         A hold stake user:1 -> plugin:bank coin 10
         A hold bid user:1 -> plugin:bank coin 5
         A set k v
         A reply
         hold 7 user:1 -> user:2 coin 3
         call B bank user:1; B set k w
         remove_plugin bank
         remove_plugin bank
         B reply
         call C bank user:1
         expire A/0
         expire A/1
         expire 7
         balance user:1 coin
         balance plugin:bank coin
         plugin bank component=a grants=requested enabled=true
         state bank
         violations",
        &expect![[r#"
            A reply: committed
            remove_plugin bank: changed
            remove_plugin bank: unchanged
            B reply: stale
            call C bank user:1: not run, the plugin `bank` is disabled
            expire A/1: changed
            expire 7: the hold 00000000-0000-0000-0000-000000000007 has ended
            balance user:1 coin: 90, held 3
            balance plugin:bank coin: 60
            state bank: none
            violations: none
        "#]],
    );
}

#[test]
fn each_due_time_has_one_run() {
    check_bank(
        "due bank
         call A bank plugin:bank due=60000 action=pay
         A pay plugin:bank -> user:1 coin 1
         call B bank plugin:bank due=60000 action=pay
         B pay plugin:bank -> user:1 coin 1
         A reply
         wait 60
         call C bank plugin:bank due=60000 action=pay
         C pay plugin:bank -> user:1 coin 1
         C reply
         B reply
         due bank
         call D bank plugin:bank due=180000 action=pay; D reply
         call E bank plugin:bank due=120000 action=pay; E reply
         wait 60
         call E bank plugin:bank due=120000 action=pay; E fault
         call F bank plugin:bank due=120000 action=none; F reply
         due bank
         balance user:1 coin",
        &expect![[r#"
            due bank: pay at 60000, tidy at 60000
            A reply: stale
            C reply: committed
            B reply: stale
            due bank: pay at 120000, tidy at 60000
            D reply: stale
            E reply: stale
            E fault: faulted
            F reply: stale
            due bank: pay at 180000, tidy at 60000
            balance user:1 coin: 101
        "#]],
    );
}

#[test]
fn a_run_that_declines_counts_and_one_that_cannot_start_does_not() {
    check_bank(
        "wait 60
         call A bank plugin:bank due=60000 action=pay; A decline
         due bank
         wait 60
         call B bank plugin:bank due=120000 action=pay
         B pay plugin:bank -> user:1 coin 51
         B reply
         due bank
         plugin bank enabled=false
         wait 60
         call C bank plugin:bank due=180000 action=pay
         C reply
         due bank",
        &expect![[r#"
            A decline: declined
            due bank: pay at 120000, tidy at 60000
            B reply: on record, `plugin:bank` can spend 50 coin, and 51 are required
            due bank: pay at 180000, tidy at 60000
            plugin bank enabled=false: changed
            call C bank plugin:bank due=180000 action=pay: not run, the plugin `bank` is disabled
            C reply: the plugin `bank` is disabled
            due bank: pay at 180000, tidy at 60000
        "#]],
    );
}

#[test]
fn only_a_schedule_calls_on_behalf_of_a_plugin() {
    check_bank(
        "call A bank plugin:bank
         call B bank user:1 due=60000 action=pay; B reply
         call C bank plugin:other due=60000 action=pay",
        &expect![[r#"
            call A bank plugin:bank: not run, `plugin:bank` is created by the server, with the asset or the plugin
            B reply: stale
            call C bank plugin:other due=60000 action=pay: not run, `plugin:other` is created by the server, with the asset or the plugin
        "#]],
    );
}

#[test]
fn missed_runs_are_skipped_or_caught_up_by_their_rule() {
    check_bank(
        "skip_due bank tidy
         wait 600
         skip_due bank tidy
         skip_due bank pay
         skip_due bank none
         due bank
         wait 60600
         skip_due bank pay
         due bank",
        &expect![[r#"
            skip_due bank tidy: unchanged
            skip_due bank tidy: changed
            skip_due bank pay: unchanged
            skip_due bank none: unchanged
            due bank: pay at 60000, tidy at 660000
            skip_due bank pay: changed
            due bank: pay at 1260000, tidy at 660000
        "#]],
    );
}

#[test]
fn a_run_sets_its_next_due_time_and_other_calls_only_bring_it_forward() {
    check_bank(
        "wait 60
         call A bank plugin:bank due=60000 action=pay; A wake pay 600001; A reply
         due bank
         call B bank user:1; B wake pay 900000; B reply
         due bank
         call C bank user:1; C wake pay 300000; C wake pay 400000; C wake tidy 0; C wake none 0; C reply
         due bank
         call D bank user:1; D wake pay 120000; D decline
         wait 240
         call E bank plugin:bank due=300000 action=pay; E wake pay 900000
         E pay plugin:bank -> user:1 coin 51; E reply
         due bank
         violations",
        &expect![[r#"
            A reply: committed
            due bank: pay at 660000, tidy at 60000
            B reply: committed
            due bank: pay at 660000, tidy at 60000
            C wake none 0: refused, the plugin has no schedule `none`
            C reply: committed
            due bank: pay at 300000, tidy at 60000
            D decline: declined
            E reply: on record, `plugin:bank` can spend 50 coin, and 51 are required
            due bank: pay at 360000, tidy at 60000
            violations: none
        "#]],
    );
}

#[test]
fn a_due_run_stays_due_when_other_settings_change() {
    check_bank(
        "wait 300
         plugin bank config={\"rate\":2}
         due bank
         plugin bank component=a2 grants=requested enabled=true schedules=pay/60/skip,tidy/60/skip
         due bank
         plugin bank times=pay/120
         due bank
         plugin bank enabled=false
         wait 300
         plugin bank enabled=true
         due bank",
        &expect![[r#"
            plugin bank config={"rate":2}: changed
            due bank: pay at 60000, tidy at 60000
            plugin bank component=a2 grants=requested enabled=true schedules=pay/60/skip,tidy/60/skip: changed
            due bank: pay at 60000, tidy at 60000
            plugin bank times=pay/120: changed
            due bank: pay at 360000, tidy at 60000
            plugin bank enabled=false: changed
            plugin bank enabled=true: changed
            due bank: pay at 720000, tidy at 660000
        "#]],
    );
}

#[test]
fn a_configuration_is_accepted_only_for_the_component_that_checked_it() {
    check_bank(
        "plugin bank config={\"rate\":2} checked=a
         plugin bank component=b
         plugin bank config={\"rate\":3} checked=a
         plugin bank config={\"rate\":3} checked=b",
        &expect![[r#"
            plugin bank config={"rate":2} checked=a: changed
            plugin bank component=b: changed
            plugin bank config={"rate":3} checked=a: the plugin `bank` was changed in the meantime: read it again and repeat the request
            plugin bank config={"rate":3} checked=b: changed
        "#]],
    );
}

#[test]
fn a_component_is_accepted_only_for_the_configuration_that_it_checked() {
    check_bank(
        "plugin bank config={\"rate\":2}
         plugin bank component=b as_of=6
         plugin bank component=b as_of=8
         plugin other component=b as_of=8",
        &expect![[r#"
            plugin bank config={"rate":2}: changed
            plugin bank component=b as_of=6: the plugin `bank` was changed in the meantime: read it again and repeat the request
            plugin bank component=b as_of=8: changed
            plugin other component=b as_of=8: the plugin `other` was changed in the meantime: read it again and repeat the request
        "#]],
    );
}

#[test]
fn needs_belong_to_a_component_with_its_configuration() {
    let mut world = World::after(&format!(
        "{BANK}
         plugin bank config={{\"rate\":2}} needs=plugin:bank/coin/50"
    ));
    let needs = |world: &World| {
        let bank = world.books.plugin(&id("bank")).expect("it is installed");
        bank.installation.needs.len()
    };
    assert_eq!(needs(&world), 1);
    world.run("plugin bank enabled=false");
    assert_eq!(needs(&world), 1, "neither has changed");
    world.run("plugin bank component=b");
    assert_eq!(needs(&world), 0);
    world.run("roll_back bank");
    assert_eq!(needs(&world), 1);
    world.run("plugin bank config={\"rate\":3}");
    assert_eq!(needs(&world), 0);
}

/// Due times that passed while another component was installed are not caught up.
#[test]
fn a_restored_component_is_due_from_its_return_on() {
    check_bank(
        "due bank
         plugin bank component=b
         wait 600
         roll_back bank
         due bank",
        &expect![[r#"
            due bank: pay at 60000, tidy at 60000
            plugin bank component=b: changed
            roll_back bank: changed
            due bank: pay at 660000, tidy at 660000
        "#]],
    );
}

/// A run that could not start when it was due is stale once another run has used its due time.
#[test]
fn a_run_that_could_not_start_and_is_no_longer_due_is_stale() {
    check_bank(
        "wait 60
         call A bank plugin:bank due=60000 action=pay; A draw 2
         economy frozen
         A reply
         call A bank plugin:bank due=60000 action=pay
         economy open
         call B bank plugin:bank due=60000 action=pay; B reply
         economy frozen
         A reply
         seeds",
        &expect![[r#"
            A draw 2: drew 0
            economy frozen: changed
            A reply: stale
            call A bank plugin:bank due=60000 action=pay: not run, the economy is frozen
            economy open: changed
            B reply: committed
            economy frozen: changed
            A reply: stale
            seeds: seed 1, 0 draws, hidden from 1, next nonce 1, open []
        "#]],
    );
}

/// A rollback without a configuration restores the earlier component, and there is none.
#[test]
fn a_change_of_configuration_alone_is_not_rolled_back() {
    check_bank(
        "plugin bank component=a config={\"fee\":1}
         roll_back bank",
        &expect![[r#"
            plugin bank component=a config={"fee":1}: changed
            roll_back bank: the plugin `bank` has no earlier component or configuration to restore
        "#]],
    );
}

/// The answer names the economy's status, and is not a conflict after which the call would run again.
#[test]
fn a_call_that_ends_in_a_frozen_economy_is_refused_for_it() {
    check_bank(
        "call A bank user:1; A pay user:1 -> plugin:bank coin 1
         economy frozen
         A reply",
        &expect![[r#"
            economy frozen: changed
            A reply: the economy is frozen
        "#]],
    );
}

//! Stale calls: every response that a call received must still hold when it commits, declines or faults.

use expect_test::{Expect, expect};

use super::script::World;
use super::state::sets;
use crate::{Act, CallEnding, Digest, STATE_PAGE_KEYS_MAX, Verdict};

const SHOP: &str = "
    asset coin
    account user:1
    account user:2
    plugin shop component=a enabled=true requests=read/user:2,spend/coin/90 grants=requested
    plugin off component=a
    issue user:1 coin 100
    issue user:2 coin 100
    issue plugin:shop coin 100
    call S shop user:1
    S set stock 3
    S set price 5
    S reply";

/// Returns the outcomes of a call that made a request, after another act: one for each ending, or one for all
/// if they are equal.
fn after(setup: &str, call: &str, meanwhile: &str) -> String {
    let mut before = World::after(SHOP);
    before.run(setup);
    before.run(&format!("call A {call}"));
    before.run(meanwhile);
    let end = |ending: &str| {
        let mut world = before.clone();
        world.output.clear();
        world.run(&format!("A {ending}"));
        let line = world.output.trim_end().split_once(": ");
        line.expect("an ending has an output").1.to_owned()
    };
    let mut outcomes = vec![end("reply"), end("decline"), end("fault")];
    outcomes.dedup();
    outcomes.join(" | ")
}

/// Checks rows of a request of the call and an act before its commit.
fn check_rows(rows: &[(&str, &str)], expected: &Expect) {
    let row = |(ask, meanwhile): &(&str, &str)| {
        let outcome = after("", &format!("shop user:1; A {ask}"), meanwhile);
        format!("{ask} / {meanwhile}: {outcome}\n")
    };
    expected.assert_eq(&rows.iter().map(row).collect::<String>());
}

#[test]
fn a_changed_balance_makes_a_call_that_read_it_stale() {
    check_rows(
        &[
            ("balance user:1 coin", "issue user:2 coin 1"),
            ("balance user:1 coin", "issue user:1 coin 1"),
            (
                "balance user:1 coin",
                "issue user:1 coin 1; burn user:1 coin 1",
            ),
            ("balance user:1 coin", "account user:1 credit_limit=coin/1"),
            ("balance user:1 coin", "account user:1 ceiling=coin/500"),
            ("balance user:2 coin", "burn user:2 coin 1"),
            ("balance user:1 gem", "asset gem"),
        ],
        &expect![[r#"
            balance user:1 coin / issue user:2 coin 1: committed | declined | faulted
            balance user:1 coin / issue user:1 coin 1: stale
            balance user:1 coin / issue user:1 coin 1; burn user:1 coin 1: committed | declined | faulted
            balance user:1 coin / account user:1 credit_limit=coin/1: stale
            balance user:1 coin / account user:1 ceiling=coin/500: committed | declined | faulted
            balance user:2 coin / burn user:2 coin 1: stale
            balance user:1 gem / asset gem: stale
        "#]],
    );
}

/// A purchase that changes the shop's balance must not make purchases of other items stale.
#[test]
fn a_changed_result_of_has_at_least_makes_a_call_stale() {
    check_rows(
        &[
            ("has user:1 coin 50", "burn user:1 coin 50"),
            ("has user:1 coin 50", "burn user:1 coin 51"),
            ("has user:1 coin 50", "issue user:1 coin 1000"),
            ("has user:1 coin 101", "burn user:1 coin 99"),
            ("has user:1 coin 101", "issue user:1 coin 1"),
            ("has user:1 coin 101", "account user:1 credit_limit=coin/1"),
        ],
        &expect![[r#"
            has user:1 coin 50 / burn user:1 coin 50: committed | declined | faulted
            has user:1 coin 50 / burn user:1 coin 51: stale
            has user:1 coin 50 / issue user:1 coin 1000: committed | declined | faulted
            has user:1 coin 101 / burn user:1 coin 99: committed | declined | faulted
            has user:1 coin 101 / issue user:1 coin 1: stale
            has user:1 coin 101 / account user:1 credit_limit=coin/1: stale
        "#]],
    );
}

/// A requested transfer is not a read: the ledger checks the funds at commit.
#[test]
fn a_requested_transfer_is_not_a_read() {
    check_rows(
        &[
            ("pay user:1 -> plugin:shop coin 50", "burn user:1 coin 50"),
            ("pay user:1 -> plugin:shop coin 50", "burn user:1 coin 51"),
            (
                "pay user:1 -> plugin:shop coin 50",
                "issue plugin:shop coin 9",
            ),
            ("pay user:1 -> user:9 coin 50", "account user:8"),
            ("pay user:1 -> user:9 coin 50", "account user:9"),
            ("pay user:1 -> user:2 gem 50", "asset gem"),
            ("pay user:1 -> user:2 coin 91", "issue user:1 coin 9"),
        ],
        &expect![[r#"
            pay user:1 -> plugin:shop coin 50 / burn user:1 coin 50: committed | declined | faulted
            pay user:1 -> plugin:shop coin 50 / burn user:1 coin 51: `user:1` can spend 49 coin, and 50 are required | declined | faulted
            pay user:1 -> plugin:shop coin 50 / issue plugin:shop coin 9: committed | declined | faulted
            pay user:1 -> user:9 coin 50 / account user:8: committed | declined | faulted
            pay user:1 -> user:9 coin 50 / account user:9: stale
            pay user:1 -> user:2 gem 50 / asset gem: stale
            pay user:1 -> user:2 coin 91 / issue user:1 coin 9: committed | declined | faulted
        "#]],
    );
}

#[test]
fn a_changed_key_makes_a_call_that_read_it_stale() {
    check_rows(
        &[
            ("get stock", "call B shop user:2; B set price 6; B reply"),
            ("get stock", "call B shop user:2; B set stock 2; B reply"),
            ("get stock", "call B shop user:2; B set stock 3; B reply"),
            ("get stock", "call B shop user:2; B delete stock; B reply"),
            ("get stock", "call B shop user:2; B delete stock; B decline"),
            ("get sold", "call B shop user:2; B delete sold; B reply"),
            ("get sold", "call B shop user:2; B set sold 1; B reply"),
            (
                "set stock 9; A get stock",
                "call B shop user:2; B set stock 2; B reply",
            ),
        ],
        &expect![[r#"
            get stock / call B shop user:2; B set price 6; B reply: committed | declined | faulted
            get stock / call B shop user:2; B set stock 2; B reply: stale
            get stock / call B shop user:2; B set stock 3; B reply: committed | declined | faulted
            get stock / call B shop user:2; B delete stock; B reply: stale
            get stock / call B shop user:2; B delete stock; B decline: committed | declined | faulted
            get sold / call B shop user:2; B delete sold; B reply: committed | declined | faulted
            get sold / call B shop user:2; B set sold 1; B reply: stale
            set stock 9; A get stock / call B shop user:2; B set stock 2; B reply: committed | declined | faulted
        "#]],
    );
}

#[test]
fn a_write_is_not_a_read() {
    check_rows(
        &[
            ("set stock 9", "call B shop user:2; B set stock 2; B reply"),
            (
                "delete stock",
                "call B shop user:2; B delete stock; B reply",
            ),
        ],
        &expect![[r#"
            set stock 9 / call B shop user:2; B set stock 2; B reply: committed | declined | faulted
            delete stock / call B shop user:2; B delete stock; B reply: committed | declined | faulted
        "#]],
    );
}

#[test]
fn a_changed_list_of_keys_makes_a_call_stale() {
    check_rows(
        &[
            ("list s", "call B shop user:2; B set shelf 1; B reply"),
            ("list s", "call B shop user:2; B set t 1; B reply"),
            ("list s", "call B shop user:2; B delete price; B reply"),
            ("list s", "call B shop user:2; B delete stock; B reply"),
            ("list s", "call B shop user:2; B set stock 1; B reply"),
            (
                "list s from=st",
                "call B shop user:2; B set shelf 1; B reply",
            ),
            ("list z", "call B shop user:2; B set z 1; B reply"),
            (
                "delete stock; A list s",
                "call B shop user:2; B delete stock; B reply",
            ),
        ],
        &expect![[r#"
            list s / call B shop user:2; B set shelf 1; B reply: stale
            list s / call B shop user:2; B set t 1; B reply: committed | declined | faulted
            list s / call B shop user:2; B delete price; B reply: committed | declined | faulted
            list s / call B shop user:2; B delete stock; B reply: stale
            list s / call B shop user:2; B set stock 1; B reply: committed | declined | faulted
            list s from=st / call B shop user:2; B set shelf 1; B reply: committed | declined | faulted
            list z / call B shop user:2; B set z 1; B reply: stale
            delete stock; A list s / call B shop user:2; B delete stock; B reply: committed | declined | faulted
        "#]],
    );
}

#[test]
fn a_key_beyond_a_full_page_was_not_read() {
    let full = sets("S", STATE_PAGE_KEYS_MAX + 1);
    let setup = format!("call S shop user:1\n{full}\nS reply");
    for (meanwhile, expected) in [
        ("B set k0641 v", "committed | declined | faulted"),
        ("B delete k064", "stale"),
        ("B set k0631 v", "stale"),
    ] {
        let meanwhile = format!("call B shop user:2; {meanwhile}; B reply");
        let outcome = after(&setup, "shop user:1; A list k", &meanwhile);
        assert_eq!(outcome, expected, "{meanwhile}");
    }
}

#[test]
fn a_secured_amount_must_still_be_spendable_at_the_draw() {
    check_rows(
        &[
            (
                "secure plugin:shop coin 50",
                "admin_transfer plugin:shop -> user:2 coin 50",
            ),
            (
                "secure plugin:shop coin 50",
                "admin_transfer plugin:shop -> user:2 coin 51",
            ),
            (
                "secure plugin:shop coin 50",
                "account user:1 ceiling=coin/150",
            ),
            (
                "secure plugin:shop coin 50",
                "account user:1 ceiling=coin/149",
            ),
            ("secure plugin:shop coin 101", "issue plugin:shop coin 1"),
            ("secure plugin:shop coin 101", "issue user:1 coin 1"),
        ],
        &expect![[r#"
            secure plugin:shop coin 50 / admin_transfer plugin:shop -> user:2 coin 50: committed | declined | faulted
            secure plugin:shop coin 50 / admin_transfer plugin:shop -> user:2 coin 51: stale
            secure plugin:shop coin 50 / account user:1 ceiling=coin/150: committed | declined | faulted
            secure plugin:shop coin 50 / account user:1 ceiling=coin/149: stale
            secure plugin:shop coin 101 / issue plugin:shop coin 1: stale
            secure plugin:shop coin 101 / issue user:1 coin 1: committed | declined | faulted
        "#]],
    );
}

/// The draws of a call stay the same under its key, whatever happens between its attempts.
#[test]
fn a_draw_is_the_same_in_every_attempt() {
    let mut world = World::after(SHOP);
    world.output.clear();
    world.run(
        "call A shop user:1; A balance user:1 coin; A draw 1000000
         call B shop user:1; B draw 1000000; B reply
         issue user:1 coin 1
         A reply
         call A shop user:1; A balance user:1 coin; A draw 1000000
         A reply",
    );
    expect![[r#"
        A balance user:1 coin: posted 100, held 0, spendable 100
        A draw 1000000: drew 94880
        B draw 1000000: drew 286312
        B reply: committed
        A reply: stale
        A balance user:1 coin: posted 101, held 0, spendable 101
        A draw 1000000: drew 94880
        A reply: committed
    "#]]
    .assert_eq(&world.output);
}

/// This also concerns a call without requests, because it has read its configuration.
#[test]
fn a_call_is_stale_if_its_installation_has_changed() {
    check_rows(
        &[
            ("delete none", "plugin shop enabled=true"),
            ("delete none", r#"plugin shop config={"price":6}"#),
            ("delete none", "plugin shop grants=none"),
            ("delete none", "plugin shop component=b enabled=true"),
            ("delete none", "plugin shop enabled=false"),
            (
                "delete none",
                "plugin shop enabled=false; plugin shop enabled=true",
            ),
            ("delete none", "plugin off enabled=true"),
        ],
        &expect![[r#"
            delete none / plugin shop enabled=true: committed | declined | faulted
            delete none / plugin shop config={"price":6}: stale
            delete none / plugin shop grants=none: stale
            delete none / plugin shop component=b enabled=true: stale
            delete none / plugin shop enabled=false: stale
            delete none / plugin shop enabled=false; plugin shop enabled=true: stale
            delete none / plugin off enabled=true: committed | declined | faulted
        "#]],
    );
}

#[test]
fn a_call_that_could_not_start_is_rejected_only_for_the_same_reason() {
    let row = |(call, meanwhile): (&str, &str)| {
        let outcome = after("", call, meanwhile);
        format!("{call} / {meanwhile}: {outcome}\n")
    };
    let rows = [
        ("off user:1", "issue user:1 coin 1"),
        ("off user:1", "plugin off enabled=true"),
        ("off user:9", "plugin off enabled=true"),
        ("shop user:9", "account user:8"),
        ("shop user:9", "account user:9"),
        ("shop user:9", "plugin shop enabled=false"),
        ("shop plugin:shop", "account user:9"),
        ("none user:1", "plugin none component=a enabled=true"),
    ];
    expect![[r#"
        off user:1 / issue user:1 coin 1: the plugin `off` is disabled
        off user:1 / plugin off enabled=true: stale
        off user:9 / plugin off enabled=true: stale
        shop user:9 / account user:8: the economy has no account `user:9`
        shop user:9 / account user:9: stale
        shop user:9 / plugin shop enabled=false: stale
        shop plugin:shop / account user:9: `plugin:shop` is created by the server, with the asset or the plugin
        none user:1 / plugin none component=a enabled=true: stale
    "#]].assert_eq(&rows.map(row).concat());
}

#[test]
fn a_result_of_another_component_is_stale() {
    let mut world = World::after(SHOP);
    world.run("call A shop user:1; A balance user:1 coin");
    let ending = CallEnding::Replied {
        reply: serde_json::json!({}),
    };
    let mut result = world.end("A", ending);
    let right = result.clone();
    result.component = Digest::of(b"other");
    assert_eq!(world.act(&Act::Call(Box::new(result))), Verdict::Stale);
    assert!(matches!(
        world.act(&Act::Call(Box::new(right))),
        Verdict::Applied(_)
    ));
}

/// Of two buyers that have read the last item, one gets it and the other runs again.
#[test]
fn the_last_item_is_sold_once() {
    let mut world = World::after(SHOP);
    world.run(
        "call A shop user:1; A get stock; A set stock 2; A pay user:1 -> plugin:shop coin 5
         call B shop user:2; B get stock; B set stock 2; B pay user:2 -> plugin:shop coin 5
         A reply
         B reply
         state shop
         balance plugin:shop coin
         call B shop user:2; B get stock; B set stock 1; B pay user:2 -> plugin:shop coin 5
         B reply
         state shop
         balance plugin:shop coin",
    );
    expect![[r#"
        S reply: committed
        A get stock: 3
        B get stock: 3
        A reply: committed
        B reply: stale
        state shop: price=5 stock=2
        balance plugin:shop coin: 105
        B get stock: 2
        B reply: committed
        state shop: price=5 stock=1
        balance plugin:shop coin: 110
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn a_decline_after_a_draw_never_commits() {
    let mut world = World::after("account user:1; plugin shop component=a enabled=true");
    let books = world.books.clone();
    world.run("call A shop user:1; A draw 2; A decline");
    assert_eq!(world.books, books);
    expect![[r#"
        A draw 2: drew 0
        A decline: stale
    "#]]
    .assert_eq(&world.output);
}

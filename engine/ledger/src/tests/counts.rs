//! Counts other than balances: flows, holders, budgets of past days and quota usage.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{AssetId, Books, Day, Flow, Quota};

#[test]
fn flows_of_an_asset_are_returned_from_a_day_on() {
    let mut world = World::after("asset coin; asset gem; account user:1; issue user:1 gem 9");
    world.run("issue user:1 coin 5; burn user:1 coin 2; wait 86400; issue user:1 coin 1");
    let flows = |asset: &str, from: u64| {
        let asset: AssetId = id(asset);
        let flows = world.books.flows(&asset, Day(from));
        flows
            .map(|(day, _, flow)| (day.0, flow))
            .collect::<Vec<_>>()
    };
    let flow = |issued, burned| Flow { issued, burned };
    assert_eq!(flows("coin", 0), [(0, flow(5, 2)), (1, flow(1, 0))]);
    assert_eq!(flows("coin", 1), [(1, flow(1, 0))]);
    assert_eq!(flows("gem", 0), [(0, flow(9, 0))]);
    assert_eq!(flows("none", 0), []);
}

#[test]
fn an_account_with_one_unit_of_an_asset_is_a_holder() {
    let mut world = World::after("asset coin; plugin shop component=a enabled=true");
    for (member, coins) in [(1, 1), (2, 7), (3, 0), (4, 7)] {
        world.run(&format!("account user:{member}"));
        if coins > 0 {
            world.run(&format!("issue user:{member} coin {coins}"));
        }
    }
    world.run("issue plugin:shop coin 50");
    let coin: AssetId = id("coin");
    let holders = |most| {
        let holders = world.books.holders(&coin, most).into_iter();
        holders
            .map(|(account, coins)| format!("{account} {coins}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(holders(9), ["user:2 7", "user:4 7", "user:1 1"]);
    assert_eq!(holders(2), ["user:2 7", "user:4 7"]);
}

/// Counters of past days are removed in portions, so that no record takes long.
#[test]
fn budgets_of_days_that_are_over_are_forgotten() {
    const MEMBERS: u64 = 66;
    let mut world = World::after(
        "asset coin
         plugin shop component=a grants=requested enabled=true requests=daily/coin/5",
    );
    let pays = |day: u64, member: u64| {
        let call = format!("D{day}M{member}");
        format!(
            "call {call} shop user:{member}; {call} pay user:{member} -> plugin:shop coin 1; {call} reply"
        )
    };
    for member in 1..=MEMBERS {
        world.run(&format!(
            "account user:{member}; issue user:{member} coin 9"
        ));
        world.run(&pays(0, member));
    }
    let counters = |world: &World| [0, 1, 2].map(|day| world.books.counters_on(Day(day)));
    assert_eq!(counters(&world), [66, 0, 0]);
    world.run(&format!("wait 86400; {}", pays(1, 1)));
    assert_eq!(counters(&world), [2, 1, 0]);
    world.run(&pays(1, 2));
    assert_eq!(counters(&world), [0, 2, 0]);
    assert_eq!(
        world.books.spends.len(),
        1,
        "nothing is left of the first day"
    );
    world.run(&pays(1, 3));
    assert_eq!(counters(&world), [0, 3, 0], "nothing of today is forgotten");
}

#[test]
fn the_first_budget_counter_of_a_day_counts_in_the_quota() {
    check(
        "asset coin
         account user:1
         issue user:1 coin 9
         plugin shop component=a grants=requested enabled=true requests=daily/coin/5
         quota budget_counters=0
         call A shop user:1; A pay user:1 -> plugin:shop coin 1; A reply
         quota budget_counters=1
         call B shop user:1; B pay user:1 -> plugin:shop coin 1; B reply
         used budget_counters",
        &expect![[r#"
            quota budget_counters=0: changed
            A reply: the economy has 0 budget counters of the day of at most 0, and this needs more: free some, or ask the operator to raise the quota `budget_counters`
            quota budget_counters=1: changed
            B reply: committed
            used budget_counters: budget_counters 1 of 1
        "#]],
    );
}

#[test]
fn metadata_of_assets_and_reversals_count_in_their_quotas() {
    let mut world = World::after(
        r#"asset coin metadata={"a":1}
         account user:1
         account user:2 metadata={"b":22}
         issue user:1 coin 100
         reverse 2 of=1 user:1 -> user:2 coin 1
         reverse 4 of=3 user:1 -> user:2 coin 1
         reverse 6 of=5 user:1 -> user:2 coin 1
         used metadata_bytes reversals
         violations"#,
    );
    expect![[r#"
        used metadata_bytes reversals: metadata_bytes 15 of 67108864, reversals 3 of 250000
        violations: none
    "#]]
    .assert_eq(&world.output);
    let mut restored = None;
    for item in world.books.clone().into_entries() {
        assert!(Books::restore(&mut restored, item));
    }
    let restored = restored.expect("the books");
    let used = |books: &Books| books.used(Quota::MetadataBytes, world.at());
    assert_eq!(used(&restored), used(&world.books));
    world.output.clear();
    world.run("patch coin metadata=null; used metadata_bytes; violations");
    expect![[r#"
        patch coin metadata=null: changed
        used metadata_bytes: metadata_bytes 8 of 67108864
        violations: none
    "#]]
    .assert_eq(&world.output);
}

/// Before a draw the quota must cover everything that the call can still write.
#[test]
fn reserved_state_after_a_draw_is_counted_to_the_byte() {
    let large = "x".repeat(4_096);
    let mut world = World::after(
        "account user:1
         plugin shop component=a requests=state/67108864 grants=requested enabled=true",
    );
    world.run("call A shop user:1");
    for key in 0..1_000 {
        world.run(&format!("A set k{key} {large}"));
    }
    world.run("A reply");
    let used = world.books.used(Quota::StateBytes, world.at());
    let used = used.expect("it is counted");
    // A call can still write 16 entries of 4,352 bytes, and 4 MiB are the reserve.
    let enough = used + 16 * 4_352 - (4 << 20);
    let mut draws = |call: &str, limit: u64| {
        world.output.clear();
        world.run(&format!(
            "quota state_bytes={limit}; call {call} shop user:1; {call} draw 2"
        ));
        world.output.contains(&format!("{call} draw 2: drew"))
    };
    assert!(draws("B", enough));
    assert!(!draws("C", enough - 1));
}

#[test]
fn counts_survive_a_checkpoint() {
    let mut world = World::after("account user:1; plugin shop component=a enabled=true");
    world.run(
        r#"account user:1 metadata={"a":1}; call A shop user:1; A set a b; A set c d; A reply"#,
    );
    world.run("quota holds=3");
    let mut restored = None;
    for item in world.books.clone().into_entries() {
        assert!(Books::restore(&mut restored, item));
    }
    assert_eq!(restored.as_ref(), Some(&world.books));
    let restored = restored.expect("the books");
    assert_eq!(restored.quota(Quota::Holds), 3);
    assert_eq!(restored.used(Quota::MetadataBytes, world.at()), Some(7));
    let account = restored.account(&id("user:1")).expect("it is there");
    let metadata = account.metadata.as_ref();
    assert_eq!(metadata.map(crate::Document::as_str), Some(r#"{"a":1}"#));
}

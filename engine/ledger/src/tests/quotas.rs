//! Quotas: each one at its limit and one beyond, requests that a reached quota still allows, and the counts.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::history::{history, play};
use super::script::{World, check};
use crate::{
    Act, Books, FLOW_DAYS_MAX, Quota, QuotaPatch, Quotas, Rejection, STATE_AFTER_DRAW_BYTES,
    Timestamp, Verdict, decide,
};

const SETUP: &str = "
    asset coin
    account user:1
    account user:2
    issue user:1 coin 100
    plugin shop component=a enabled=true grants=requested holds=stake/60/capture \
        requests=daily/coin/50
";

fn check_shop(script: &str, expected: &Expect) {
    check(&format!("{SETUP}{script}"), expected);
}

/// Runs lines that succeed and one that the quota rejects, raises the quota, and runs that line again.
fn check_limit(quota: Quota, limit: u64, well: &str, beyond: &str) {
    let mut world = World::after(SETUP);
    world.run(&format!("quota {quota}={limit}"));
    world.output.clear();
    world.run(well);
    assert_eq!(world.output, "", "{quota}: up to the limit all goes well");
    assert_eq!(world.books.used(quota, world.at()), Some(limit), "{quota}");
    let before = world.books.clone();
    world.run(beyond);
    let used = limit;
    let refused = match world.rejections.pop() {
        Some(Rejection::InBatch { rejection, .. }) => Some(*rejection),
        refused => refused,
    };
    assert_eq!(
        refused,
        Some(Rejection::QuotaReached { quota, limit, used }),
        "{quota}: {}",
        world.output
    );
    assert_eq!(before, world.books, "{quota}: a refusal changes nothing");
    world.run(&format!("quota {quota}=null"));
    let before = world.output.clone();
    world.run(beyond);
    let more = world
        .output
        .strip_prefix(&before)
        .expect("the output grows");
    assert!(!more.contains("quota"), "{quota}: raised, {more}");
    assert!(world.books.used(quota, world.at()) > Some(limit), "{quota}");
}

#[test]
fn each_quota_ends_at_its_limit() {
    // The accounts are two members, the issuer and the plugin.
    check_limit(Quota::Accounts, 5, "account user:3", "account user:4");
    check_limit(Quota::Accounts, 5, "account user:3", "asset gem");
    check_limit(
        Quota::Accounts,
        6,
        "asset gem; account user:3",
        "plugin other component=a accounts=till",
    );
    check_limit(Quota::Assets, 2, "asset gem", "asset dust");
    check_limit(
        Quota::Plugins,
        2,
        "plugin one component=a",
        "plugin two component=a",
    );
    // The issuer and the first member have a balance.
    check_limit(
        Quota::Balances,
        3,
        "transfer user:1 -> user:2 coin 1",
        "transfer user:1 -> plugin:shop coin 1",
    );
    // Two transfers to a new balance count it once.
    check_limit(
        Quota::Balances,
        3,
        "batch user:1 -> user:2 coin 1, user:1 -> user:2 coin 1",
        "transfer user:1 -> plugin:shop coin 1",
    );
    check_limit(Quota::Balances, 2, "", "hold 1 user:1 -> user:2 coin 1");
    check_limit(
        Quota::Balances,
        3,
        "hold 1 user:1 -> user:2 coin 1",
        "batch user:1 -> user:2 coin 1, user:1 -> plugin:shop coin 1",
    );
    check_limit(
        Quota::Holds,
        1,
        "hold 1 user:1 -> user:2 coin 1",
        "hold 2 user:1 -> user:2 coin 1",
    );
    check_limit(
        Quota::Reversals,
        1,
        "transfer user:1 -> user:2 coin 9; reverse 2 of=1 user:2 -> user:1 coin 1",
        "reverse 4 of=3 user:2 -> user:1 coin 1",
    );
    check_limit(
        Quota::Webhooks,
        1,
        "webhook one url=https://bot.example",
        "webhook two url=https://bot.example",
    );
    // `{"a":"b"}` has nine bytes.
    check_limit(
        Quota::MetadataBytes,
        18,
        r#"account user:3 metadata={"a":"b"}; asset gem metadata={"a":"b"}"#,
        "account user:4 metadata=1",
    );
    check_limit(
        Quota::MetadataBytes,
        9,
        r#"account user:3 metadata={"a":"b"}"#,
        "patch coin metadata=1",
    );
}

/// A call that ends a hold may place another one at the quota.
#[test]
fn a_call_that_ends_a_hold_may_place_another_at_the_quota() {
    check_shop(
        "call A shop user:1; A hold stake user:1 -> plugin:shop coin 5; A reply
         hold 1 user:1 -> user:2 coin 5
         quota holds=1
         call B shop user:1; B release A/0; B hold stake user:1 -> plugin:shop coin 6; B reply
         call C shop user:1; C capture B/0 5; C hold stake plugin:shop -> user:1 coin 5; C reply
         call D shop user:1; D capture B/0; D hold stake plugin:shop -> user:1 coin 6; D reply
         used holds
         call E shop user:1; E release D/0; E hold stake user:1 -> plugin:shop coin 1
         E hold stake user:1 -> plugin:shop coin 1; E reply
         violations",
        &expect![[r#"
            A reply: committed
            quota holds=1: changed
            B reply: committed
            C reply: the economy has 2 open holds of at most 1, and this needs more: free some, or ask the operator to raise the quota `holds`
            D reply: committed
            used holds: holds 2 of 1
            E reply: the economy has 2 open holds of at most 1, and this needs more: free some, or ask the operator to raise the quota `holds`
            violations: none
        "#]],
    );
}

#[test]
fn calls_are_refused_at_the_quotas() {
    check_shop(
        "quota state_bytes=260 holds=1 balances=3
         call A shop user:1; A set a b; A reply
         call B shop user:1; B set c d; B set e f; B reply
         call C shop user:1; C set c d; C reply
         call D shop user:1; D set a 1; D reply
         call E shop user:1; E set a 12; E reply
         call F shop user:1; F delete a; F delete c; F set longer key; F reply
         used state_bytes
         remove_plugin shop
         used state_bytes
         plugin shop component=a enabled=true grants=requested holds=stake/60/capture \
            requests=daily/coin/50
         call G shop user:1; G hold stake user:1 -> plugin:shop coin 1
         G hold stake user:1 -> plugin:shop coin 1; G reply
         call H shop user:1; H hold stake user:1 -> plugin:shop coin 1; H reply
         call I shop user:1; I pay user:1 -> user:2 coin 1; I reply
         used holds balances
         violations",
        &expect![[r#"
            quota state_bytes=260 holds=1 balances=3: changed
            A reply: committed
            B reply: the economy has 130 bytes of plugin state of at most 260, and this needs more: free some, or ask the operator to raise the quota `state_bytes`
            C reply: committed
            D reply: committed
            E reply: the economy has 260 bytes of plugin state of at most 260, and this needs more: free some, or ask the operator to raise the quota `state_bytes`
            F reply: committed
            used state_bytes: state_bytes 137 of 260
            remove_plugin shop: changed
            used state_bytes: state_bytes 0 of 260
            G reply: the economy has 1 open holds of at most 1, and this needs more: free some, or ask the operator to raise the quota `holds`
            H reply: committed
            I reply: the economy has 3 balances of at most 3, and this needs more: free some, or ask the operator to raise the quota `balances`
            used holds balances: holds 1 of 1, balances 3 of 3
            violations: none
        "#]],
    );
}

#[test]
fn budget_counters_end_with_their_day() {
    check_shop(
        "quota budget_counters=1; issue user:2 coin 10
         call A shop user:1; A pay user:1 -> plugin:shop coin 1; A reply
         call B shop user:2; B pay user:2 -> plugin:shop coin 1; B reply
         call C shop user:1; C pay user:1 -> plugin:shop coin 1; C reply
         used budget_counters
         wait 86400
         used budget_counters
         call D shop user:2; D pay user:2 -> plugin:shop coin 1; D reply
         call E shop user:1; E pay user:1 -> plugin:shop coin 1; E reply
         used budget_counters",
        &expect![[r#"
            quota budget_counters=1: changed
            A reply: committed
            B reply: the economy has 1 budget counters of the day of at most 1, and this needs more: free some, or ask the operator to raise the quota `budget_counters`
            C reply: committed
            used budget_counters: budget_counters 1 of 1
            used budget_counters: budget_counters 0 of 1
            D reply: committed
            E reply: the economy has 1 budget counters of the day of at most 1, and this needs more: free some, or ask the operator to raise the quota `budget_counters`
            used budget_counters: budget_counters 1 of 1
        "#]],
    );
}

/// A quota below the usage stops growth only.
#[test]
fn a_reached_quota_stops_growth_only() {
    let none = Quota::ALL.map(|quota| format!("{quota}=0")).join(" ");
    check_shop(
        &format!(
            r#"account user:1 metadata={{"name":"Ada"}}
            hold 1 user:1 -> user:2 coin 5 on_expiry=capture
            hold 2 user:1 -> plugin:shop coin 5
            hold 3 user:1 -> user:2 coin 5 for=1 on_expiry=capture
            hold 4 user:1 -> user:2 coin 5
            call A shop user:1; A set a b; A hold stake user:1 -> plugin:shop coin 5; A reply
            webhook one url=https://bot.example
            quota {none}
            capture 1 2; capture 2; release 4; wait 2; expire 3
            transfer user:1 -> user:2 coin 5; burn user:2 coin 1; issue user:1 coin 1
            call B shop user:1; B set a c; B pay user:1 -> user:2 coin 5; B reply
            call C shop user:1; C delete a; C capture A/0; C draw 2; C reply
            account user:1 metadata={{"name":"Bob"}}; account user:1 metadata=null
            account user:1 metadata=1
            patch coin name=Coins; account user:2 ceiling=coin/100; client_seed user:1 luck
            plugin shop enabled=true config={{}}; webhook one enabled=false; remove_plugin shop
            account user:3; hold 5 user:1 -> user:2 coin 1; webhook two url=https://bot.example
            balance user:2 coin; violations"#
        ),
        &expect![[r#"
            account user:1 metadata={"name":"Ada"}: changed
            A reply: committed
            quota accounts=0 metadata_bytes=0 assets=0 balances=0 state_bytes=0 plugins=0 holds=0 reversals=0 budget_counters=0 webhooks=0 streams=0: changed
            release 4: changed
            B reply: committed
            C draw 2: drew 0
            C reply: committed
            account user:1 metadata={"name":"Bob"}: changed
            account user:1 metadata=null: changed
            account user:1 metadata=1: the economy has 0 bytes of metadata of at most 0, and this needs more: free some, or ask the operator to raise the quota `metadata_bytes`
            patch coin name=Coins: changed
            account user:2 ceiling=coin/100: changed
            client_seed user:1 luck: changed
            plugin shop enabled=true config={}: unchanged
            webhook one enabled=false: changed
            remove_plugin shop: changed
            account user:3: the economy has 4 accounts of at most 0, and this needs more: free some, or ask the operator to raise the quota `accounts`
            hold 5 user:1 -> user:2 coin 1: the economy has 1 open holds of at most 0, and this needs more: free some, or ask the operator to raise the quota `holds`
            webhook two url=https://bot.example: the economy has 1 webhooks of at most 0, and this needs more: free some, or ask the operator to raise the quota `webhooks`
            balance user:2 coin: 16
            violations: none
        "#]],
    );
}

/// A new balance of the caller and the state that the call may write are checked against the quotas before
/// the draw.
#[test]
fn quotas_are_checked_before_the_draw() {
    check_shop(
        "asset gem; issue plugin:shop gem 10
         used balances
         quota balances=4
         call A shop user:1; A secure plugin:shop gem 5; A draw 2; A stop
         quota balances=5
         call B shop user:1; B secure plugin:shop gem 5; B draw 2; B pay plugin:shop -> user:1 gem 5; B reply
         used balances
         violations",
        &expect![[r#"
            used balances: balances 4 of 1000000
            quota balances=4: changed
            A draw 2: ends, the economy has 4 balances of at most 4, and this needs more: free some, or ask the operator to raise the quota `balances`
            A stop: the economy has 4 balances of at most 4, and this needs more: free some, or ask the operator to raise the quota `balances`
            quota balances=5: changed
            B draw 2: drew 0
            B reply: committed
            used balances: balances 5 of 5
            violations: none
        "#]],
    );
}

#[test]
fn state_after_a_draw_has_a_reserve() {
    let mut world = World::after(SETUP);
    let large = "x".repeat(4_096);
    let sets = |call: &str, round: u32| {
        let sets = (0..16).map(|n| format!("{call} set r{round}-{n} {large};"));
        sets.collect::<String>()
    };
    world.run("plugin shop component=a requests=state/67108864 grants=requested enabled=true");
    world.run("quota state_bytes=0");
    let mut rounds = 0;
    loop {
        world.output.clear();
        let writes = sets("A", rounds);
        world.run("call A shop user:1; A draw 2");
        if world.output.contains("ends") {
            break;
        }
        world.run(&format!("{writes} A reply"));
        assert!(
            world.output.ends_with("A reply: committed\n"),
            "{}",
            world.output
        );
        rounds += 1;
        assert!(rounds < 100, "the loop ends");
    }
    let used = world.books.used(Quota::StateBytes, world.at());
    assert!(used <= Some(STATE_AFTER_DRAW_BYTES), "{used:?}");
    assert!(used > Some(STATE_AFTER_DRAW_BYTES - 2 * 70_000), "{used:?}");
    world.output.clear();
    world.run("A stop; call B shop user:1; B set a b; B reply; call C shop user:1; C reply");
    expect![[r#"
        A stop: the economy has 4127710 bytes of plugin state of at most 0, and this needs more: free some, or ask the operator to raise the quota `state_bytes`
        B reply: the economy has 4127710 bytes of plugin state of at most 0, and this needs more: free some, or ask the operator to raise the quota `state_bytes`
        C reply: committed
    "#]].assert_eq(&world.output);
}

/// A new balance counts even if it is negative.
#[test]
fn a_new_negative_balance_counts_in_the_quota() {
    check_shop(
        "account user:3
         quota balances=2
         reverse 2 of=1 user:3 -> user:1 coin 1 by=admin force=theft
         quota balances=3
         reverse 2 of=1 user:3 -> user:1 coin 1 by=admin force=theft
         used balances",
        &expect![[r#"
            quota balances=2: changed
            reverse 2 of=1 user:3 -> user:1 coin 1 by=admin force=theft: the economy has 2 balances of at most 2, and this needs more: free some, or ask the operator to raise the quota `balances`
            quota balances=3: changed
            used balances: balances 3 of 3
        "#]],
    );
}

/// A payment to the plugin's own accounts after a draw needs no reserved room.
#[test]
fn a_full_quota_does_not_void_a_payment_after_a_draw() {
    check_shop(
        "plugin shop component=b accounts=till enabled=true grants=requested
         issue plugin:shop coin 50
         quota balances=3
         call A shop user:1
         A secure plugin:shop coin 10
         A draw 2
         A pay plugin:shop -> plugin:shop:till coin 4
         A reply
         used balances
         call B shop user:1
         B pay plugin:shop -> user:2 coin 1
         B reply",
        &expect![[r#"
            plugin shop component=b accounts=till enabled=true grants=requested: changed
            quota balances=3: changed
            A draw 2: drew 0
            A reply: committed
            used balances: balances 4 of 3
            B reply: the economy has 4 balances of at most 3, and this needs more: free some, or ask the operator to raise the quota `balances`
        "#]],
    );
}

#[test]
fn flows_are_kept_for_a_leap_year() {
    let mut world = World::after("asset coin; account user:1; issue user:1 coin 1");
    let days = |world: &World| world.books.flows.len();
    world.run(&format!("wait {}", (FLOW_DAYS_MAX - 1) * 86_400));
    world.run("issue user:1 coin 1");
    assert_eq!(days(&world), 2, "the first day can still be asked for");
    world.run("wait 86400; issue user:1 coin 1");
    assert_eq!(days(&world), 2, "the first day is over");
}

#[test]
fn a_patch_with_the_present_quotas_changes_nothing() {
    check_shop(
        "quota holds=null
         quota holds=5
         quota holds=5
         quota accounts=7
         quota holds=null accounts=null
         economy closed
         quota holds=1",
        &expect![[r#"
            quota holds=null: unchanged
            quota holds=5: changed
            quota holds=5: unchanged
            quota accounts=7: changed
            quota holds=null accounts=null: changed
            economy closed: changed
            quota holds=1: the economy is closed
        "#]],
    );
}

fn unlimited(books: &Books) -> Books {
    let most = Quota::ALL.map(|quota| (quota, Some(quota.max_limit())));
    let patch = QuotaPatch::try_from(BTreeMap::from(most)).expect("no limit is too high");
    let mut books = books.clone();
    books.quotas = Quotas::default().patched(&patch);
    books
}

/// Returns the quota for which an act was refused.
pub(super) fn refused_for(verdict: &Verdict) -> Option<Quota> {
    let (Verdict::Rejected(rejection) | Verdict::RejectedWith(rejection, _)) = verdict else {
        return None;
    };
    let reason = if let Rejection::InBatch { rejection, .. } = rejection {
        rejection
    } else {
        rejection
    };
    if let Rejection::QuotaReached { quota, .. } = reason {
        return Some(*quota);
    }
    None
}

fn has_drawn(act: &Act) -> bool {
    matches!(act, Act::Call(result) if result.origin.is_some())
}

proptest! {
    /// The check of the invariants verifies the counts themselves.
    #[test]
    fn nothing_grows_beyond_its_quota(steps in history()) {
        play(&steps, |before, act, _, world| {
            for quota in Quota::ALL {
                let was = before.used(quota, world.at());
                let is = world.books.used(quota, world.at());
                // Balances: two accounts of the plugin in three assets.
                let reserves = [(Quota::StateBytes, STATE_AFTER_DRAW_BYTES), (Quota::Balances, 6)];
                let reserve = reserves.into_iter().find(|(of, _)| *of == quota && has_drawn(act));
                let reserve = reserve.map_or(0, |(_, reserve)| reserve);
                let limit = world.books.quota(quota) + reserve;
                assert!(is <= was.max(Some(limit)), "{quota}: {was:?} {is:?} {act:?}");
            }
        });
    }

    /// A quota rejects only acts that would have increased its usage.
    #[test]
    fn only_growth_is_refused(steps in history()) {
        play(&steps, |before, act, verdict, _| {
            let Some(quota) = refused_for(verdict).filter(|_| !has_drawn(act)) else {
                return;
            };
            let at = Timestamp(1_000 + before.seq());
            let mut after = unlimited(before);
            if let Verdict::Applied(decision) = decide(Some(&after), at, act) {
                let seq = before.seq() + 1;
                after.apply(&decision, seq, at).expect("it fits");
                assert!(after.used(quota, at) > before.used(quota, at), "{quota}: {act:?}");
            }
        });
    }
}

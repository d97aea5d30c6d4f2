//! Grants by pattern: debits of members at each cap and one unit beyond it.

use expect_test::{Expect, expect};

use super::script::{World, check, id};
use crate::{
    AccountPattern, GRANT_PATTERNS_MAX, Grants, PatternGrant, Patterns, PatternsError, Permissions,
};

/// Members, one of them with credit, and a plugin that may debit 10 coin from `user:*` in a call, 15 from each member
/// in a day, and 30 from all of them in a day.
pub(super) const GANG: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    account user:3 credit_limit=coin/50
    account user:4
    account treasury
    account guild:1:user:2
    plugin rob component=a accounts=till enabled=true holds=stake/60/release schedules=tax/60/skip \
        grants=take/user:*/coin/10/15/30
    issue user:1 coin 100
    issue user:1 gem 100
    issue user:2 coin 100
    issue user:2 gem 100
    issue user:3 coin 5
    issue user:4 coin 100
    issue treasury coin 100
    issue guild:1:user:2 coin 100
    issue plugin:rob coin 100
";

pub(super) fn check_gang(script: &str, expected: &Expect) {
    check(&format!("{GANG}{script}"), expected);
}

#[test]
fn a_call_debits_up_to_its_pattern_cap() {
    check_gang(
        "call A rob user:1; A pay user:2 -> plugin:rob coin 10; A reply
         call B rob user:1; B pay user:4 -> user:1 coin 6; B pay user:2 -> plugin:rob coin 5; B reply
         call C rob user:1; C pay user:4 -> user:1 coin 6; C pay user:2 -> plugin:rob coin 4; C reply
         call D rob user:1; D pay user:2 -> plugin:rob gem 1; D reply
         balance user:2 coin
         balance user:4 coin",
        &expect![[r#"
            A reply: committed
            B reply: `rob` may move 10 coin of all of `user:*` in a call by `patterns.debit.per_call`, and this would make 11
            C reply: committed
            D reply: `rob` may move 0 gem of all of `user:*` in a call by `patterns.debit.per_call`, and this would make 1
            balance user:2 coin: 86
            balance user:4 coin: 94
        "#]],
    );
}

#[test]
fn a_member_loses_no_more_than_the_daily_cap() {
    check_gang(
        "call A rob user:1; A pay user:2 -> plugin:rob coin 10; A reply
         call B rob user:4; B pay user:2 -> plugin:rob coin 6; B reply
         call C rob user:4; C pay user:2 -> plugin:rob coin 5; C reply
         call D rob user:1; D pay user:2 -> plugin:rob coin 1; D reply
         wait 86400
         call E rob user:1; E pay user:2 -> plugin:rob coin 10; E reply
         balance user:2 coin",
        &expect![[r#"
            A reply: committed
            B reply: `rob` may move 15 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 16 of `user:2`
            C reply: committed
            D reply: `rob` may move 15 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 16 of `user:2`
            E reply: committed
            balance user:2 coin: 75
        "#]],
    );
}

#[test]
fn all_members_together_lose_no_more_than_the_daily_cap() {
    check_gang(
        "call A rob user:1; A pay user:2 -> plugin:rob coin 10; A reply
         call B rob user:1; B pay user:4 -> plugin:rob coin 10; B reply
         call C rob user:2; C pay user:1 -> plugin:rob coin 5; C pay user:4 -> plugin:rob coin 5; C reply
         call D rob user:2; D pay user:1 -> plugin:rob coin 1; D reply
         wait 86400
         call E rob user:2; E pay user:1 -> plugin:rob coin 1; E reply",
        &expect![[r#"
            A reply: committed
            B reply: committed
            C reply: committed
            D reply: `rob` may move 30 coin of all of `user:*` a day by `patterns.debit.per_day`, and this would make 31
            E reply: committed
        "#]],
    );
}

/// Two calls that ran on one snapshot: neither makes the other run again, and the second is refused.
#[test]
fn caps_are_no_reads() {
    check_gang(
        "call A rob user:1; A pay user:2 -> plugin:rob coin 10
         call B rob user:4; B pay user:2 -> plugin:rob coin 10
         call C rob user:4; C pay user:2 -> plugin:rob coin 5
         A reply
         B reply
         C reply",
        &expect![[r#"
            A reply: committed
            B reply: `rob` may move 15 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 20 of `user:2`
            C reply: committed
        "#]],
    );
}

/// A pattern debits neither credit nor held amounts: the balance is positive before the debit and not
/// negative after it.
#[test]
fn a_pattern_debits_funds_and_no_credit() {
    check_gang(
        "call A rob user:1; A pay user:3 -> plugin:rob coin 6; A reply
         call B rob user:1; B pay user:3 -> plugin:rob coin 3; B pay user:3 -> plugin:rob coin 3; B reply
         hold 1 user:3 -> user:1 coin 3
         call C rob user:1; C pay user:3 -> plugin:rob coin 3; C reply
         call D rob user:1; D pay user:3 -> plugin:rob coin 2; D reply
         call E rob user:1; E pay user:3 -> plugin:rob coin 1; E reply
         call F rob user:1; F pay plugin:rob -> user:3 coin 4; F pay user:3 -> plugin:rob coin 4; F reply
         transfer user:3 -> user:1 coin 20
         call G rob user:1; G pay user:3 -> plugin:rob coin 1; G reply
         call H rob user:3; H pay user:3 -> plugin:rob coin 20; H reply
         balance user:3 coin",
        &expect![[r#"
            A reply: `user:3` can spend 5 coin, and 6 are required
            B reply: `user:3` can spend 2 coin, and 3 are required
            C reply: `user:3` can spend 2 coin, and 3 are required
            D reply: committed
            E reply: `user:3` can spend 0 coin, and 1 are required
            F reply: committed
            G reply: `user:3` can spend 0 coin, and 1 are required
            H reply: committed
            balance user:3 coin: -37, held 3
        "#]],
    );
}

/// An amount that the call itself holds is not available either.
#[test]
fn a_pattern_debits_nothing_that_the_call_holds() {
    check_gang(
        "plugin rob component=a enabled=true requests=debit/user:2 grants=debit/user:2
         plugin rob component=b enabled=true requests=debit/user:9 grants=take/user:*/coin/100/100/100 \
            holds=stake/60/release
         call A rob user:2; A hold stake user:2 -> plugin:rob coin 95; A reply
         call B rob user:1; B pay user:2 -> plugin:rob coin 6; B reply
         call C rob user:1; C release A/0; C pay user:2 -> plugin:rob coin 6; C reply",
        &expect![[r#"
            plugin rob component=a enabled=true requests=debit/user:2 grants=debit/user:2: changed
            plugin rob component=b enabled=true requests=debit/user:9 grants=take/user:*/coin/100/100/100 holds=stake/60/release: changed
            A reply: committed
            B reply: `user:2` can spend 5 coin, and 6 are required
            C reply: committed
        "#]],
    );
}

#[test]
fn a_pattern_reads_only_if_it_grants_reads() {
    check_gang(
        "call A rob user:1
         A balance user:2 coin
         A has user:2 coin 1
         plugin rob grants=look/user:*,take/guild:*/coin/1/1/1
         call B rob user:1
         B balance user:2 coin
         B has user:2 coin 101
         B has user:2 coin 100
         B balance guild:1:user:2 coin
         B balance treasury coin
         B pay user:2 -> plugin:rob coin 1
         B pay guild:1:user:2 -> plugin:rob coin 1
         B reply",
        &expect![[r#"
            A balance user:2 coin: refused, the plugin has no grant to read `user:2`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A has user:2 coin 1: refused, the plugin has no grant to read `user:2`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            plugin rob grants=look/user:*,take/guild:*/coin/1/1/1: changed
            B balance user:2 coin: posted 100, held 0, spendable 100
            B has user:2 coin 101: no
            B has user:2 coin 100: yes
            B balance guild:1:user:2 coin: refused, the plugin has no grant to read `guild:1:user:2`: an operator grants it by {"accounts": "guild:1:user:*", "read": true} in `grants.patterns`
            B balance treasury coin: refused, the plugin has no grant to read `treasury`: an operator can grant it once the manifest requests it, in `permissions.read`
            B pay user:2 -> plugin:rob coin 1: refused, the plugin has no grant to debit `user:2`: an operator grants it by {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns`
            B reply: committed
        "#]],
    );
}

/// Each refusal names the missing member of the grants, or says that none would allow it.
#[test]
fn refusals_say_how_an_operator_grants_it() {
    check_gang(
        "plugin rob component=c enabled=true holds=stake/60/release grants=take/user:*/coin/1/1/1 \
            requests=read/user:2,debit/treasury,credit/issuer:gem
         call A rob user:1
         A balance user:2 coin
         A balance user:4 coin
         A balance treasury coin
         A has plugin:other coin 1
         A pay guild:1:user:2 -> plugin:rob coin 1
         A pay treasury -> plugin:rob coin 1
         A pay issuer:coin -> plugin:rob coin 1
         A pay plugin:rob -> issuer:gem gem 1
         A pay plugin:rob -> issuer:coin coin 1
         A pay user:1 -> issuer:gem coin 1
         A hold stake user:2 -> plugin:rob coin 1
         A hold stake treasury -> plugin:rob coin 1
         A secure user:1 coin 1",
        &expect![[r#"
            plugin rob component=c enabled=true holds=stake/60/release grants=take/user:*/coin/1/1/1 requests=read/user:2,debit/treasury,credit/issuer:gem: changed
            A balance user:2 coin: refused, the plugin has no grant to read `user:2`: an operator grants it by "user:2" in `grants.read`
            A balance user:4 coin: refused, the plugin has no grant to read `user:4`: an operator grants it by {"accounts": "user:*", "read": true} in `grants.patterns`
            A balance treasury coin: refused, the plugin has no grant to read `treasury`: an operator can grant it once the manifest requests it, in `permissions.read`
            A has plugin:other coin 1: refused, the plugin has no grant to read `plugin:other`: an operator can grant it once the manifest requests it, in `permissions.read`
            A pay guild:1:user:2 -> plugin:rob coin 1: refused, the plugin has no grant to debit `guild:1:user:2`: an operator grants it by {"accounts": "guild:1:user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns`
            A pay treasury -> plugin:rob coin 1: refused, the plugin has no grant to debit `treasury`: an operator grants it by "treasury" in `grants.debit`
            A pay issuer:coin -> plugin:rob coin 1: refused, the plugin has no grant to debit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.debit`
            A pay plugin:rob -> issuer:gem gem 1: refused, the plugin has no grant to credit `issuer:gem`: an operator grants it by "issuer:gem" in `grants.credit`
            A pay plugin:rob -> issuer:coin coin 1: refused, the plugin has no grant to credit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.credit`
            A pay user:1 -> issuer:gem coin 1: refused, the plugin has no grant to credit `issuer:gem`: an operator grants it by "issuer:gem" in `grants.credit`
            A hold stake user:2 -> plugin:rob coin 1: refused, the plugin has no grant to reserve amounts of `user:2`: a pattern allows transfers, but no holds
            A hold stake treasury -> plugin:rob coin 1: refused, the plugin has no grant to debit `treasury`: an operator grants it by "treasury" in `grants.debit`
            A secure user:1 coin 1: refused, the plugin has no grant to secure on `user:1`, which is no account of its own
        "#]],
    );
}

/// The refusal names the first part that is too wide, what the manifest requests, and how to grant without a request.
#[test]
fn the_refusal_of_a_wide_grant_names_what_is_requested() {
    check_gang(
        "plugin rob component=c requests=debit/issuer:coin,read/user:2,spend/coin/5,state/2000,fuel/small,issue/coin/9
         plugin rob grants=read/user:3
         plugin rob grants=debit/user:3
         plugin rob grants=debit/treasury
         plugin rob grants=debit/issuer:gem
         plugin rob grants=credit/issuer:coin
         plugin rob grants=state/2001
         plugin rob grants=fuel/large
         plugin rob grants=spend/coin/6
         plugin rob grants=spend/gem/1
         plugin rob grants=issue/coin/10
         plugin rob grants=state/2000,fuel/small,spend/coin/5,read/user:2,debit/issuer:coin,issue/coin/9",
        &expect![[r#"
            plugin rob component=c requests=debit/issuer:coin,read/user:2,spend/coin/5,state/2000,fuel/small,issue/coin/9: changed
            plugin rob grants=read/user:3: `grants.read` exceeds what the manifest requests: it does not request `user:3`; {"accounts": "user:*", "read": true} in `grants.patterns` needs no request
            plugin rob grants=debit/user:3: `grants.debit` exceeds what the manifest requests: it does not request `user:3`; {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns` needs no request
            plugin rob grants=debit/treasury: `grants.debit` exceeds what the manifest requests: it does not request `treasury`
            plugin rob grants=debit/issuer:gem: `grants.debit` exceeds what the manifest requests: it does not request `issuer:gem`
            plugin rob grants=credit/issuer:coin: `grants.credit` exceeds what the manifest requests: it does not request `issuer:coin`
            plugin rob grants=state/2001: `grants.state_bytes` exceeds what the manifest requests: it requests 2000 bytes
            plugin rob grants=fuel/large: `grants.fuel` exceeds what the manifest requests: it requests the class `small`
            plugin rob grants=spend/coin/6: `grants.spend_per_call` exceeds what the manifest requests: it requests at most 5 coin
            plugin rob grants=spend/gem/1: `grants.spend_per_call` exceeds what the manifest requests: it requests at most 0 gem
            plugin rob grants=issue/coin/10: `grants.issue_per_day` exceeds what the manifest requests: it requests at most 9 coin
            plugin rob grants=state/2000,fuel/small,spend/coin/5,read/user:2,debit/issuer:coin,issue/coin/9: changed
        "#]],
    );
}

/// Both caps apply to an account that two patterns match, and none to an account that is granted by name.
#[test]
fn each_pattern_that_reaches_an_account_binds() {
    check_gang(
        "account user:vip:1; account user:vip:2; account user:vip:3
         issue user:vip:1 coin 100; issue user:vip:2 coin 100; issue user:vip:3 coin 100
         plugin rob grants=take/user:*/coin/10/10/25,take/user:vip:*/coin/8/20/20
         call A rob user:1; A pay user:vip:1 -> plugin:rob coin 9; A reply
         call B rob user:1; B pay user:vip:1 -> plugin:rob coin 8; B pay user:2 -> plugin:rob coin 3; B reply
         call C rob user:1; C pay user:vip:1 -> plugin:rob coin 8; C pay user:2 -> plugin:rob coin 2; C reply
         call D rob user:1; D pay user:vip:1 -> plugin:rob coin 3; D reply
         call E rob user:1; E pay user:vip:2 -> plugin:rob coin 8; E reply
         call F rob user:1; F pay user:vip:2 -> plugin:rob coin 2; F pay user:vip:1 -> plugin:rob coin 2; F reply
         call G rob user:1; G pay user:vip:2 -> plugin:rob coin 2; G pay user:vip:1 -> plugin:rob coin 1; G reply
         plugin rob grants=take/user:*/coin/10/10/25,take/user:vip:*/coin/20/20/21
         call H rob user:1; H pay user:vip:3 -> plugin:rob coin 2; H reply
         call I rob user:1; I pay user:vip:3 -> plugin:rob coin 1; I pay user:2 -> plugin:rob coin 2; I reply
         call J rob user:1; J pay user:2 -> plugin:rob coin 1; J reply",
        &expect![[r#"
            plugin rob grants=take/user:*/coin/10/10/25,take/user:vip:*/coin/8/20/20: changed
            A reply: `rob` may move 8 coin of all of `user:vip:*` in a call by `patterns.debit.per_call`, and this would make 9
            B reply: `rob` may move 10 coin of all of `user:*` in a call by `patterns.debit.per_call`, and this would make 11
            C reply: committed
            D reply: `rob` may move 10 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 11 of `user:vip:1`
            E reply: committed
            F reply: committed
            G reply: `rob` may move 10 coin of each of `user:*` a day by `patterns.debit.per_member_per_day`, and this would make 11 of `user:vip:1`
            plugin rob grants=take/user:*/coin/10/10/25,take/user:vip:*/coin/20/20/21: changed
            H reply: `rob` may move 21 coin of all of `user:vip:*` a day by `patterns.debit.per_day`, and this would make 22
            I reply: committed
            J reply: `rob` may move 25 coin of all of `user:*` a day by `patterns.debit.per_day`, and this would make 26
        "#]],
    );
}

#[test]
fn an_account_that_is_granted_by_name_is_taken_from_by_no_pattern() {
    check_gang(
        "plugin rob component=d enabled=true requests=debit/user:3,daily/coin/50 grants=debit/user:3,take/user:*/coin/1/1/1
         used budget_counters
         call A rob user:1; A pay user:3 -> plugin:rob coin 20; A reply
         used budget_counters
         call B rob user:2; B pay user:2 -> plugin:rob coin 20; B reply
         used budget_counters
         call C rob user:2; C pay user:1 -> plugin:rob coin 1; C reply
         used budget_counters
         balance user:3 coin",
        &expect![[r#"
            plugin rob component=d enabled=true requests=debit/user:3,daily/coin/50 grants=debit/user:3,take/user:*/coin/1/1/1: changed
            used budget_counters: budget_counters 0 of 250000
            A reply: committed
            used budget_counters: budget_counters 0 of 250000
            B reply: committed
            used budget_counters: budget_counters 1 of 250000
            C reply: committed
            used budget_counters: budget_counters 3 of 250000
            balance user:3 coin: -15
        "#]],
    );
}

/// `"requested"` grants no pattern, and a change without `grants` keeps the granted ones.
#[test]
fn patterns_are_granted_where_they_are_written_out_and_nowhere_else() {
    let mut world = World::after(GANG);
    let mut patterns = |line: &str| {
        world.run(line);
        let plugin = world.books.plugin(&id("rob")).expect("it is installed");
        let grants = plugin.installation.grants.patterns.as_slice().iter();
        let grants = grants.map(|grant| grant.accounts.to_string());
        grants.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(patterns("plugin rob enabled=true"), "user:*");
    assert_eq!(patterns("plugin rob component=a"), "user:*");
    assert_eq!(patterns("plugin rob grants=requested"), "");
    assert_eq!(patterns("plugin rob grants=look/user:*"), "user:*");
    assert_eq!(patterns("plugin rob component=b"), "", "another component");
    assert_eq!(patterns("roll_back rob"), "user:*", "as it was before");
    assert_eq!(
        patterns("plugin rob follow=true grants=look/a:*,look/b:*"),
        "a:* b:*"
    );
    assert_eq!(
        patterns("plugin rob component=c follows=a"),
        "a:* b:*",
        "a newer version neither asks for them nor changes them"
    );
    assert_eq!(patterns("plugin rob grants=none"), "");
}

/// A scheduled run debits by patterns as well.
#[test]
fn a_run_that_is_due_takes_by_patterns() {
    check_gang(
        "wait 60
         call A rob plugin:rob due=60000 action=tax
         A pay user:2 -> plugin:rob coin 5
         A pay user:4 -> plugin:rob coin 5
         A reply
         balance plugin:rob coin",
        &expect![[r#"
            A reply: committed
            balance plugin:rob coin: 110
        "#]],
    );
}

/// A debit is counted for its member and for its pattern, and each counter counts in the quota.
#[test]
fn counters_of_patterns_need_room_of_the_quota() {
    check_gang(
        "quota budget_counters=3
         call A rob user:1; A pay user:2 -> plugin:rob coin 1; A reply
         used budget_counters
         call B rob user:1; B pay user:4 -> plugin:rob coin 1; B pay user:3 -> plugin:rob coin 1; B reply
         call C rob user:1; C pay user:4 -> plugin:rob coin 1; C reply
         used budget_counters
         call D rob user:1; D pay user:3 -> plugin:rob coin 1; D reply
         call E rob user:1; E pay user:2 -> plugin:rob coin 1; E pay user:4 -> plugin:rob coin 1; E reply
         used budget_counters",
        &expect![[r#"
            quota budget_counters=3: changed
            A reply: committed
            used budget_counters: budget_counters 2 of 3
            B reply: the economy has 2 budget counters of the day of at most 3, and this needs more: free some, or ask the operator to raise the quota `budget_counters`
            C reply: committed
            used budget_counters: budget_counters 3 of 3
            D reply: the economy has 3 budget counters of the day of at most 3, and this needs more: free some, or ask the operator to raise the quota `budget_counters`
            E reply: committed
            used budget_counters: budget_counters 3 of 3
        "#]],
    );
}

fn looking(patterns: &[String]) -> Result<Patterns, PatternsError> {
    let grant = |pattern: &String| PatternGrant {
        accounts: id(pattern),
        read: true,
        debit: None,
    };
    patterns.iter().map(grant).collect::<Vec<_>>().try_into()
}

#[test]
fn a_plugin_has_patterns_up_to_their_limit() {
    let named = |count: usize| (0..count).map(|n| format!("team{n}:*")).collect::<Vec<_>>();
    let most = looking(&named(GRANT_PATTERNS_MAX)).expect("as many as there may be");
    assert_eq!(most.as_slice().len(), GRANT_PATTERNS_MAX);
    let more = looking(&named(GRANT_PATTERNS_MAX + 1));
    assert_eq!(more, Err(PatternsError::TooMany));
}

#[test]
fn a_pattern_is_unique_and_grants_something() {
    let user: AccountPattern = id("user:*");
    let twice = ["user:*", "team:*", "user:*"].map(String::from);
    assert_eq!(looking(&twice), Err(PatternsError::Twice(user.clone())));
    assert!(looking(&["user:*", "user:vip:*"].map(String::from)).is_ok());
    let read = |text: &str| serde_json::from_str::<Grants>(text).map_err(|error| error.to_string());
    let refused = |text: &str, why: &str| {
        let error = read(text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    };
    refused(r#"{"patterns": [{"accounts": "user:*"}]}"#, "neither");
    refused(
        r#"{"patterns": [{"accounts": "user:*", "read": false}]}"#,
        "neither",
    );
    refused(
        r#"{"patterns": [{"accounts": "*", "read": true}]}"#,
        "a pattern ends with",
    );
    refused(
        r#"{"patterns": [{"accounts": "user:*", "debit": true}]}"#,
        "PatternCaps",
    );
    refused(
        r#"{"patterns": [{"accounts": "user:*", "debit": {"per_call": {}, "per_day": {}}}]}"#,
        "per_member_per_day",
    );
    let written = r#"{"patterns":[{"accounts":"user:*","debit":{"per_call":{"coin":1},"per_member_per_day":{"coin":2},"per_day":{"coin":3}}},{"accounts":"team:*","read":true}]}"#;
    let grants = read(written).expect("grants");
    assert_eq!(serde_json::to_string(&grants).expect("JSON"), written);
}

/// A manifest requests patterns without caps, which the operator sets.
#[test]
fn a_manifest_requests_patterns_without_caps() {
    let written =
        r#"{"debit":["issuer:coin"],"patterns":[{"accounts":"user:*","read":true,"debit":true}]}"#;
    let wished: Permissions = serde_json::from_str(written).expect("permissions");
    assert_eq!(serde_json::to_string(&wished).expect("JSON"), written);
    let requested = wished.requested();
    assert!(requested.patterns.is_empty());
    assert_eq!(requested.debit.len(), 1);
    for wrong in [
        r#"{"patterns":[{"accounts":"user:*","debit":false}]}"#,
        r#"{"patterns":[{"accounts":"user:*","debit":{"per_call":{},"per_member_per_day":{},"per_day":{}}}]}"#,
        r#"{"patterns":[{"accounts":"user:*"}]}"#,
    ] {
        assert!(
            serde_json::from_str::<Permissions>(wrong).is_err(),
            "{wrong}"
        );
    }
}

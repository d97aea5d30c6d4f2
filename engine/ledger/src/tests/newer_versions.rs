//! Newer versions of a plugin that replace the installed one automatically.

use expect_test::expect;

use super::installed::check_bank;
use super::script::{World, check, id};
use crate::{Digest, FuelClass};

#[test]
fn a_newer_version_follows_if_allowed_and_if_it_requests_no_more() {
    check_bank(
        "plugin bank component=b follows=a
         plugin bank follow=true
         plugin bank component=b follows=x
         plugin bank component=b follows=a requests=debit/issuer:coin
         call A bank user:1
         plugin bank component=b follows=a holds=bid/60/release
         call B bank user:1; B hold bid user:1 -> plugin:bank coin 1; B reply
         A reply
         plugin bank enabled=false
         plugin bank component=c follows=b as_of=1
         plugin bank component=c follows=b
         call C bank user:1
         roll_back bank",
        &expect![[r#"
            plugin bank component=b follows=a: unchanged
            plugin bank follow=true: changed
            plugin bank component=b follows=x: unchanged
            plugin bank component=b follows=a requests=debit/issuer:coin: unchanged
            plugin bank component=b follows=a holds=bid/60/release: changed
            B reply: committed
            A reply: stale
            plugin bank enabled=false: changed
            plugin bank component=c follows=b as_of=1: unchanged
            plugin bank component=c follows=b: changed
            call C bank user:1: not run, the plugin `bank` is disabled
            roll_back bank: changed
        "#]],
    );
}

#[test]
fn a_newer_version_that_asks_for_less_keeps_only_that() {
    check(
        "asset coin
         account user:1
         issue user:1 coin 100
         plugin bank component=a requests=debit/issuer:coin,read/user:1 grants=requested \
            enabled=true follow=true
         plugin bank component=b follows=a requests=read/user:1,spend/coin/10
         call A bank user:1
         A pay issuer:coin -> user:1 coin 1
         roll_back bank
         call B bank user:1
         B pay issuer:coin -> user:1 coin 1
         plugin bank component=b follows=a",
        &expect![[r#"
            plugin bank component=b follows=a requests=read/user:1,spend/coin/10: changed
            A pay issuer:coin -> user:1 coin 1: refused, the plugin has no grant to debit `issuer:coin`: an operator can grant it once the manifest requests it, in `permissions.debit`
            roll_back bank: changed
            plugin bank component=b follows=a: unchanged
        "#]],
    );
}

#[test]
fn an_installation_without_grants_gets_the_default_grants() {
    check(
        "asset coin
         account user:1
         issue user:1 coin 100
         plugin bank component=a requests=debit/issuer:coin,spend/coin/10,state/500 enabled=true
         call A bank user:1
         A pay issuer:coin -> user:1 coin 1
         A pay user:1 -> plugin:bank coin 11
         A pay user:1 -> plugin:bank coin 10
         A set key x*498
         A reply",
        &expect![[r#"
            A pay issuer:coin -> user:1 coin 1: refused, the plugin has no grant to debit `issuer:coin`: an operator grants it by "issuer:coin" in `grants.debit`
            A pay user:1 -> plugin:bank coin 11: refused, 11 coin would leave the caller, and at most 10 may
            A reply: the plugin `bank` would keep 501 bytes of state, of at most 500
        "#]],
    );
}

/// A narrower quota and the granted fuel class are kept when a newer version requests the same.
#[test]
fn a_newer_version_keeps_the_quota_and_the_fuel_that_were_granted() {
    let mut world = World::after(
        "asset coin
         account user:1
         plugin bank component=a requests=state/5000,fuel/large grants=state/500,fuel/small \
            enabled=true follow=true
         plugin bank component=b follows=a requests=state/5000,fuel/large",
    );
    let granted = |world: &World| {
        let bank = world.books.plugin(&id("bank")).expect("it is installed");
        let grants = &bank.installation.grants;
        (grants.state_bytes, grants.state_quota(), grants.fuel)
    };
    assert_eq!(granted(&world), (Some(500), 500, FuelClass::Small));
    world.run("plugin bank component=c follows=b requests=state/400,fuel/standard");
    assert_eq!(granted(&world), (Some(400), 400, FuelClass::Small));
    world.run("call A bank user:1; A set k x*400; A reply");
    world.output.clear();
    world.run("call B bank user:1; B set k x*399; B reply");
    expect![[r#"
        B reply: committed
    "#]]
    .assert_eq(&world.output);
}

/// The default quota is not stored, so that a change of the default applies.
#[test]
fn a_newer_version_of_a_plugin_with_the_usual_quota_keeps_the_usual_quota() {
    let world = World::after(
        "plugin bank component=a grants=requested enabled=true follow=true
         plugin bank component=b follows=a",
    );
    let bank = world.books.plugin(&id("bank")).expect("it is installed");
    assert_eq!(bank.installation.component, Digest::of(b"b"));
    assert_eq!(bank.installation.grants.state_bytes, None);
}

/// Fuel is granted up to the requested class; the default without a grant.
#[test]
fn a_fuel_class_is_narrowed_and_never_widened() {
    let fuel = |put: &str| {
        let mut world = World::after("asset coin");
        world.run(put);
        let bank = world.books.plugin(&id("bank"));
        (bank.map(|bank| bank.installation.grants.fuel), world.output)
    };
    let class = |requested: &str, grants: &str| {
        let (fuel, output) = fuel(&format!(
            "plugin bank component=a requests=fuel/{requested} grants={grants}"
        ));
        fuel.ok_or(output.contains("`grants.fuel` exceeds"))
    };
    let small = FuelClass::Small;
    let standard = FuelClass::Standard;
    let large = FuelClass::Large;
    for (requested, grants, granted) in [
        ("small", "requested", Ok(small)),
        ("standard", "requested", Ok(standard)),
        ("large", "requested", Ok(large)),
        ("large", "fuel/large", Ok(large)),
        ("large", "fuel/small", Ok(small)),
        ("large", "none", Ok(standard)),
        ("standard", "none", Ok(standard)),
        ("standard", "fuel/small", Ok(small)),
        ("small", "none", Ok(small)),
        ("small", "fuel/small", Ok(small)),
        ("standard", "fuel/large", Err(true)),
        ("small", "fuel/large", Err(true)),
    ] {
        assert_eq!(class(requested, grants), granted, "{grants} of {requested}");
    }
    // A request without grants grants the default at most.
    for (requested, granted) in [
        ("small", small),
        ("standard", standard),
        ("large", standard),
    ] {
        let (fuel, _) = fuel(&format!(
            "plugin bank component=a requests=fuel/{requested}"
        ));
        assert_eq!(fuel, Some(granted), "of {requested}");
    }
}

#[test]
fn following_without_a_plugin_or_a_version_changes_nothing() {
    check_bank(
        "plugin till component=b follows=a
         plugin bank follow=true
         plugin bank follows=a config={\"fee\":1}
         plugin bank follows=a enabled=false
         call A bank user:1; A reply",
        &expect![[r#"
            plugin till component=b follows=a: unchanged
            plugin bank follow=true: changed
            plugin bank follows=a config={"fee":1}: unchanged
            plugin bank follows=a enabled=false: unchanged
            A reply: committed
        "#]],
    );
}

/// A version that no longer requests a cap requests more.
#[test]
fn a_newer_version_follows_with_lower_caps_and_not_with_higher_ones() {
    let mut world = World::after(
        "asset coin
         asset gem
         plugin bank component=a requests=spend/coin/10,spend/gem/10 \
            grants=spend/coin/5,spend/gem/10 enabled=true follow=true",
    );
    let caps = |world: &World| {
        let bank = world.books.plugin(&id("bank")).expect("it is installed");
        let caps = bank.installation.grants.spend_per_call.as_ref();
        let caps = caps.expect("it has caps").iter();
        caps.map(|(asset, cap)| format!("{asset} {cap}"))
            .collect::<Vec<_>>()
    };
    world.run(
        "plugin bank component=b follows=a
         plugin bank component=b follows=a requests=spend/coin/10
         plugin bank component=c follows=b requests=spend/coin/10,spend/gem/1",
    );
    assert_eq!(caps(&world), ["coin 5"]);
    world.run("plugin bank component=c follows=b requests=spend/coin/4");
    assert_eq!(caps(&world), ["coin 4"]);
    expect![[r#"
        plugin bank component=b follows=a: unchanged
        plugin bank component=b follows=a requests=spend/coin/10: changed
        plugin bank component=c follows=b requests=spend/coin/10,spend/gem/1: unchanged
        plugin bank component=c follows=b requests=spend/coin/4: changed
    "#]]
    .assert_eq(&world.output);
}

/// Each asset has its own cap, and a narrow one does not excuse a wide one.
#[test]
fn a_grant_is_too_wide_if_it_is_in_one_asset() {
    check(
        "asset coin
         asset gem
         plugin bank component=a requests=spend/coin/5,spend/gem/5 grants=spend/coin/1,spend/gem/6
         plugin bank component=a requests=spend/coin/5,spend/gem/5 grants=spend/coin/6,spend/gem/1
         plugin bank component=a requests=spend/coin/5 grants=spend/coin/5,spend/gem/1
         plugin bank component=a requests=spend/coin/5,spend/gem/5 grants=spend/coin/5,spend/gem/5",
        &expect![[r#"
            plugin bank component=a requests=spend/coin/5,spend/gem/5 grants=spend/coin/1,spend/gem/6: `grants.spend_per_call` exceeds what the manifest requests: it requests at most 5 gem
            plugin bank component=a requests=spend/coin/5,spend/gem/5 grants=spend/coin/6,spend/gem/1: `grants.spend_per_call` exceeds what the manifest requests: it requests at most 5 coin
            plugin bank component=a requests=spend/coin/5 grants=spend/coin/5,spend/gem/1: `grants.spend_per_call` exceeds what the manifest requests: it requests at most 0 gem
        "#]],
    );
}

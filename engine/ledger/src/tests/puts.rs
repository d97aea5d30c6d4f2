//! PUTs: absent members keep their values, `null` clears, and a PUT of the present state changes nothing.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{
    AccountId, Act, AssetPatch, Change, Digest, Grants, KeyDefinition, KeyMode, KeyPatch, Patch,
    Scope, Scopes, Seed, Timestamp, Verdict, decide,
};

#[test]
fn economy_opens_once_and_comes_first() {
    let seed = Seed::new([9; 32]);
    let act = Act::SetAsset {
        asset: id("coin"),
        patch: AssetPatch::default(),
    };
    assert_eq!(decide(None, Timestamp(1), &act), Verdict::NoEconomy);

    let mut world = World::after("");
    assert_eq!(*world.books.seed(), Seed::new([7; 32]));
    assert_eq!(world.books.opened_at(), Timestamp(1_000));
    assert_eq!(world.act(&Act::OpenEconomy { seed }), Verdict::Unchanged);
}

#[test]
fn an_asset_keeps_members_that_a_put_leaves_out() {
    let mut world = World::after(
        "patch coin kind=currency name=Coin symbol=c decimals=2 max_supply=100
         patch coin
         patch coin name=Crown
         patch coin name=Crown kind=currency decimals=2
         patch coin symbol=null max_supply=null
         patch coin kind=item
         patch coin decimals=0
         patch item:potion kind=item
         patch item:potion name=Potion",
    );
    expect![[r#"
        patch coin: unchanged
        patch coin name=Crown: changed
        patch coin name=Crown kind=currency decimals=2: unchanged
        patch coin symbol=null max_supply=null: changed
        patch coin kind=item: `kind` of an asset never changes
        patch coin decimals=0: `decimals` of an asset never changes
        patch item:potion kind=item: a new asset needs `name`
        patch item:potion name=Potion: a new asset needs `kind`
    "#]]
    .assert_eq(&world.output);
    let asset = world.books.asset(&id("coin")).expect("the asset was made");
    let json = serde_json::to_string(asset).expect("an asset is JSON");
    expect![[r#"{"kind":"currency","name":"Crown","decimals":2}"#]].assert_eq(&json);

    // A new asset creates its issuer, and a second PUT keeps the issuer's balance.
    world.run("account user:1; issue user:1 coin 3; patch coin name=Coin");
    assert_eq!(world.books.supply(&id("coin")), 3);
    assert_eq!(world.books.supply(&id("gem")), 0);
}

#[test]
fn an_account_keeps_members_that_a_put_leaves_out() {
    let world = World::after(
        r#"account user:1 credit_limit=coin/50 ceiling=coin/100 metadata={"name":"Ada"}
           account user:1
           account user:1 ceiling=coin/100
           account user:1 credit_limit=coin/60
           account user:1 metadata=[1]
           account user:1 credit_limit=null ceiling=null
           account user:1 credit_limit=coin/0
           account issuer:coin
           account plugin:shop:till"#,
    );
    expect![[r#"
        account user:1 credit_limit=coin/50 ceiling=coin/100 metadata={"name":"Ada"}: the economy has no asset `coin`
        account user:1 ceiling=coin/100: the economy has no asset `coin`
        account user:1 credit_limit=coin/60: the economy has no asset `coin`
        account user:1 metadata=[1]: changed
        account user:1 credit_limit=null ceiling=null: unchanged
        account user:1 credit_limit=coin/0: the economy has no asset `coin`
        account issuer:coin: `issuer:coin` is created by the server, with the asset or the plugin
        account plugin:shop:till: `plugin:shop:till` is created by the server, with the asset or the plugin
    "#]].assert_eq(&world.output);
    let account = world.books.account(&id("user:1"));
    let json = serde_json::to_string(account.expect("the account was made"));
    expect![[r#"{"number":0,"metadata":[1],"balances":{}}"#]]
        .assert_eq(&json.expect("an account is JSON"));
}

#[test]
fn a_change_of_limits_keeps_the_balances() {
    check(
        "asset coin
         account user:1
         issue user:1 coin 10
         account user:1 ceiling=coin/5
         balance user:1 coin",
        &expect![[r#"
            account user:1 ceiling=coin/5: changed
            balance user:1 coin: 10
        "#]],
    );
}

#[test]
fn installed_plugin_starts_switched_off() {
    check(
        "account user:1
         plugin shop
         plugin shop component=a
         call A shop user:1
         plugin shop enabled=true
         call A shop user:1
         plugin shop enabled=true
         plugin shop enabled=false
         call A shop user:1",
        &expect![[r#"
            plugin shop: the plugin `shop` is not installed yet: `component` is required
            call A shop user:1: not run, the plugin `shop` is disabled
            plugin shop enabled=true: changed
            plugin shop enabled=true: unchanged
            plugin shop enabled=false: changed
            call A shop user:1: not run, the plugin `shop` is disabled
        "#]],
    );
}

#[test]
fn plugin_brings_its_own_accounts_once() {
    let mut world = World::after(
        "asset coin
         plugin shop component=a accounts=till,stock
         issue plugin:shop:till coin 5
         plugin shop component=b accounts=till,prizes",
    );
    let own: Vec<&str> = world
        .books
        .accounts()
        .keys()
        .map(AccountId::as_str)
        .filter(|account| account.starts_with("plugin:"))
        .collect();
    assert_eq!(
        own,
        [
            "plugin:shop",
            "plugin:shop:prizes",
            "plugin:shop:stock",
            "plugin:shop:till"
        ]
    );
    // Of the second component's accounts only the missing one is created.
    let made = world.decisions.last().expect("a decision").changes();
    assert!(
        matches!(made, [Change::AccountSet { .. }, Change::PluginSet { .. }]),
        "{made:?}"
    );
    world.run("balance plugin:shop:till coin");
    expect![[r#"
        plugin shop component=b accounts=till,prizes: changed
        balance plugin:shop:till coin: 5
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn grants_narrow_the_requests_of_the_manifest() {
    check(
        "plugin shop component=a requests=debit/issuer:coin,read/user:1,credit/issuer:coin
         plugin shop grants=debit/issuer:coin
         plugin shop grants=requested
         plugin shop grants=none
         plugin shop grants=debit/user:1
         plugin shop grants=read/user:2
         plugin shop grants=credit/user:1
         plugin bank component=a grants=read/user:1",
        &expect![[r#"
            plugin shop grants=debit/issuer:coin: changed
            plugin shop grants=requested: changed
            plugin shop grants=none: changed
            plugin shop grants=debit/user:1: `grants.debit` exceeds what the manifest requests: it does not request `user:1`; {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns` needs no request
            plugin shop grants=read/user:2: `grants.read` exceeds what the manifest requests: it does not request `user:2`; {"accounts": "user:*", "read": true} in `grants.patterns` needs no request
            plugin shop grants=credit/user:1: `grants.credit` exceeds what the manifest requests: it does not request `user:1`
            plugin bank component=a grants=read/user:1: `grants.read` exceeds what the manifest requests: it does not request `user:1`; {"accounts": "user:*", "read": true} in `grants.patterns` needs no request
        "#]],
    );
}

/// A grant to one component does not apply to another.
#[test]
fn another_component_starts_without_grants() {
    let mut world = World::after(
        r#"plugin shop component=a requests=read/user:1 grants=requested enabled=true
           plugin shop config={"price":5}
           plugin shop component=a requests=read/user:1
           plugin shop component=b requests=read/user:1"#,
    );
    expect![[r#"
        plugin shop config={"price":5}: changed
        plugin shop component=a requests=read/user:1: unchanged
        plugin shop component=b requests=read/user:1: changed
    "#]]
    .assert_eq(&world.output);
    let plugin = world.books.plugin(&id("shop")).expect("it is installed");
    let plugin = &plugin.installation;
    assert_eq!(plugin.grants, Grants::default());
    assert_eq!(plugin.config.as_str(), r#"{"price":5}"#);
    assert_eq!(plugin.component, Digest::of(b"b"));
    assert!(!plugin.enabled);

    // Grants and the switch may be given together with the component.
    world.run("plugin shop component=c requests=read/user:2 grants=requested enabled=true");
    let plugin = world.books.plugin(&id("shop")).expect("it is installed");
    let plugin = &plugin.installation;
    assert_eq!(plugin.grants, plugin.requested);
    assert!(plugin.enabled);
}

#[test]
fn a_new_configuration_keeps_the_plugins_state() {
    check(
        r#"account user:1
           plugin shop component=a enabled=true
           call A shop user:1
           A set stock 3
           A reply
           plugin shop config={"price":5}
           plugin shop component=b
           state shop
           violations"#,
        &expect![[r#"
            A reply: committed
            plugin shop config={"price":5}: changed
            plugin shop component=b: changed
            state shop: stock=3
            violations: none
        "#]],
    );
}

#[test]
fn a_key_keeps_its_secret_when_its_scopes_change() {
    let mut world = World::after("");
    let set = |scope: Scope, secret: &[u8]| Act::SetKey {
        key: id("bot"),
        patch: Box::new(KeyPatch {
            scopes: Some(Scopes::from([scope])),
            ..KeyPatch::default()
        }),
        secret_hash: Digest::of(secret),
        mode: KeyMode::Put,
    };
    assert!(matches!(
        world.act(&set(Scope::Read, b"first")),
        Verdict::Applied(_)
    ));
    let made = world
        .books
        .key(&id("bot"))
        .expect("the key was made")
        .clone();
    assert_eq!(world.act(&set(Scope::Read, b"second")), Verdict::Unchanged);
    let Verdict::Applied(changed) = world.act(&set(Scope::Call, b"third")) else {
        panic!("other scopes are a change");
    };
    assert!(!changed.creates());
    let key = world.books.key(&id("bot")).expect("the key is there");
    assert_eq!(key.secret_hash, Digest::of(b"first"));
    assert_eq!(key.created_at, made.created_at);
    assert!(key.definition.allows(Scope::Call));
    assert!(!key.definition.allows(Scope::Read));
}

#[test]
fn a_key_keeps_members_that_a_patch_leaves_out() {
    let mut world = World::after("");
    let set = |patch: KeyPatch, mode: KeyMode, secret: &str| Act::SetKey {
        key: id("bot"),
        patch: Box::new(patch),
        secret_hash: Digest::of(secret.as_bytes()),
        mode,
    };
    let none = set(KeyPatch::default(), KeyMode::Put, "of no key");
    let Verdict::Rejected(no) = world.act(&none) else {
        panic!("a new key needs scopes");
    };
    assert_eq!(no.to_string(), "a new key needs `scopes`");
    let bound = KeyPatch {
        scopes: Some(Scopes::from([Scope::Read])),
        economies: Patch::Set([id("guild")].into()),
        revoked: None,
        ..KeyPatch::default()
    };
    let verdict = world.act(&set(bound, KeyMode::Create, "first"));
    assert!(
        matches!(&verdict, Verdict::Applied(made) if made.creates()),
        "{verdict:?}"
    );
    let revoked = KeyPatch {
        revoked: Some(true),
        ..KeyPatch::default()
    };
    let verdict = world.act(&set(revoked, KeyMode::Put, "of the PUT"));
    assert!(
        matches!(&verdict, Verdict::Applied(put) if !put.creates()),
        "{verdict:?}"
    );
    let key = |world: &World| world.books.key(&id("bot")).expect("the key").clone();
    let now = key(&world);
    assert!(now.definition.revoked && !now.definition.reaches(&id("other")));
    assert_eq!(now.secret_hash, Digest::of(b"first"));
    let everywhere = KeyPatch {
        economies: Patch::Clear,
        revoked: Some(false),
        ..KeyPatch::default()
    };
    let verdict = world.act(&set(everywhere.clone(), KeyMode::Put, "of the PUT"));
    assert!(matches!(verdict, Verdict::Applied(_)), "{verdict:?}");
    assert_eq!(key(&world).secret_hash, Digest::of(b"first"));
    // A new secret is a change even if nothing else changes.
    let verdict = world.act(&set(everywhere.clone(), KeyMode::Rotate, "second"));
    assert!(
        matches!(&verdict, Verdict::Applied(put) if !put.creates()),
        "{verdict:?}"
    );
    let now = key(&world);
    assert!(!now.definition.revoked && now.definition.reaches(&id("other")));
    assert_eq!(now.secret_hash, Digest::of(b"second"));
    let verdict = world.act(&set(everywhere, KeyMode::Put, "of the PUT"));
    assert_eq!(verdict, Verdict::Unchanged);
    assert_eq!(key(&world).secret_hash, Digest::of(b"second"));
}

#[test]
fn an_admin_key_allows_everything_in_its_economies() {
    let admin = KeyDefinition {
        scopes: Scopes::from([Scope::Admin]),
        economies: Some([id("guild")].into()),
        revoked: false,
        ..KeyDefinition::default()
    };
    assert!(Scope::ALL.into_iter().all(|scope| admin.allows(scope)));
    assert!(admin.reaches(&id("guild")));
    assert!(!admin.reaches(&id("other")));
    let anywhere = KeyDefinition {
        economies: None,
        ..admin
    };
    assert!(anywhere.reaches(&id("other")));
}

#[test]
fn component_is_registered_once() {
    let mut world = World::after("");
    let add = |name: &str| Act::AddComponent {
        digest: Digest::of(b"bytes"),
        bytes: 5,
        name: name.into(),
        version: "1.0.0".into(),
    };
    assert!(matches!(world.act(&add("shop")), Verdict::Applied(_)));
    assert_eq!(world.act(&add("bank")), Verdict::Unchanged);
    assert_eq!(world.books.components()[&Digest::of(b"bytes")].name, "shop");
}

#[test]
fn an_asset_has_no_decimals_by_default() {
    let world = World::after("asset coin; asset gem decimals=2");
    let decimals = |asset: &str| world.books.asset(&id(asset)).expect("an asset").decimals;
    assert_eq!((decimals("coin"), decimals("gem")), (0, 2));
}

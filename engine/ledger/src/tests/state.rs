//! A plugin's state: reads of its own writes, pages of keys, and the quota.

use expect_test::expect;

use super::calls::{SHOP, check_shop};
use super::script::{World, id};
use crate::{Change, Decision, STATE_BYTES_MAX, STATE_PAGE_KEYS_MAX};

#[test]
fn a_call_reads_its_own_writes_of_state() {
    check_shop(
        "call A shop user:1
         A get stock
         A set stock 3
         A get stock
         A set price 5
         A reply
         call B shop user:2
         B get stock
         B set stock 2
         B get stock
         B delete price
         B get price
         B set price 6
         B delete price
         B set sold 1
         B delete never
         B list s
         B list p
         B reply
         state shop
         call C shop user:1
         C get stock
         C delete stock
         C decline
         call C shop user:1
         C delete stock
         C fault
         state shop
         violations",
        &expect![[r#"
            A get stock: absent
            A get stock: 3
            A reply: committed
            B get stock: 3
            B get stock: 2
            B get price: absent
            B list s: sold stock
            B list p: none
            B reply: committed
            state shop: sold=1 stock=2
            C get stock: 2
            C decline: declined
            C fault: faulted
            state shop: sold=1 stock=2
            violations: none
        "#]],
    );
}

#[test]
fn state_belongs_to_one_plugin() {
    check_shop(
        "plugin shopping enabled=true
         call A shop user:1
         A set stock 3
         A reply
         call B shopping user:1
         B get stock
         B list s",
        &expect![[r#"
            plugin shopping enabled=true: changed
            A reply: committed
            B get stock: absent
            B list s: none
        "#]],
    );
}

/// Returns script lines that write `count` keys whose order is that of their numbers.
pub(super) fn sets(call: &str, count: usize) -> String {
    let sets = (0..count).map(|n| format!("{call} set k{n:03} v"));
    sets.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_page_of_keys_ends_at_its_limit() {
    let full = sets("A", STATE_PAGE_KEYS_MAX);
    check_shop(
        &format!(
            "call A shop user:1
             {full}
             A list k
             A set b v
             A set l v
             A list k
             A reply
             call B shop user:1
             B list k
             B set k064 v
             B list k
             B list k from=k064
             B list k from=k065
             B reply
             call C shop user:1
             C list k
             C list k0
             C list k00
             C list k from=k060
             C list k from=a
             C list z
             C list k from=z"
        ),
        &expect![[r#"
            A list k: 64 keys from k000 to k063
            A list k: 64 keys from k000 to k063
            A reply: committed
            B list k: 64 keys from k000 to k063
            B list k: 64 keys from k000 to k063, next k064
            B list k from=k064: k064
            B list k from=k065: none
            B reply: committed
            C list k: 64 keys from k000 to k063, next k064
            C list k0: 64 keys from k000 to k063, next k064
            C list k00: 10 keys from k000 to k009
            C list k from=k060: k060 k061 k062 k063 k064
            C list k from=a: 64 keys from k000 to k063, next k064
            C list z: none
            C list k from=z: none
        "#]],
    );
}

#[test]
fn a_page_of_keys_is_full_after_writes_of_the_call() {
    let full = sets("A", STATE_PAGE_KEYS_MAX * 2);
    let dense = sets("B", 3);
    check_shop(
        &format!(
            "call A shop user:1
             {full}
             A reply
             call B shop user:1
             B delete k000
             B delete k001
             B delete k100
             B list k
             B set k0005 v
             B list k
             B list k from=k001
             {dense}
             B list k
             B list k00 from=k007"
        ),
        &expect![[r#"
            A reply: committed
            B list k: 64 keys from k002 to k065, next k066
            B list k: 64 keys from k0005 to k064, next k065
            B list k from=k001: 64 keys from k002 to k065, next k066
            B list k: 64 keys from k000 to k062, next k063
            B list k00 from=k007: k007 k008 k009
        "#]],
    );
}

#[test]
fn state_ends_at_its_quota() {
    let most = STATE_BYTES_MAX - 5;
    let beyond = most + 1;
    check_shop(
        &format!(
            "call A shop user:1
             A set stock x*{beyond}
             A reply
             call B shop user:1
             B set stock x*{most}
             B reply
             call C shop user:1
             C set k v
             C reply
             call D shop user:1
             D set k v
             D set stock x*10
             D reply
             call E shop user:1
             E delete stock
             E set large x*{beyond}
             E delete k
             E set large x*{most}
             E reply
             violations"
        ),
        &expect![[r#"
            A reply: the plugin `shop` would keep 1048577 bytes of state, of at most 1048576
            B reply: committed
            C reply: the plugin `shop` would keep 1048578 bytes of state, of at most 1048576
            D reply: committed
            E reply: committed
            violations: none
        "#]],
    );
}

#[test]
fn state_over_its_quota_may_shrink() {
    let most = STATE_BYTES_MAX - 1;
    let mut world = World::after(&format!(
        "{SHOP}
         call A shop user:1
         A set a x*{most}
         A reply"
    ));
    // An older quota was larger.
    let older = Change::StateSet {
        plugin: id("shop"),
        key: "b".into(),
        value: "12345".into(),
    };
    world.apply(Decision::recorded(Vec::new(), vec![older]));
    world.run(
        "call B shop user:1
         B set b 123456
         B reply
         call C shop user:1
         C set b 12345
         C reply
         call D shop user:1
         D set b 1
         D reply
         violations",
    );
    expect![[r#"
        A reply: committed
        B reply: the plugin `shop` would keep 1048583 bytes of state, of at most 1048576
        C reply: committed
        D reply: committed
        violations: none
    "#]]
    .assert_eq(&world.output);
}

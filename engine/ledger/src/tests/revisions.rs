//! The revisions of a plugin: the records that changed its installation, and the return to an earlier one.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{PluginName, REVISIONS_MAX, Revision};

const SHOP: &str = "
    asset coin
    account user:1
    plugin shop component=a config={\"price\":1} enabled=true schedules=pay/60/catch_up
";

fn listed(world: &World) -> Vec<Revision> {
    let shop: PluginName = id("shop");
    let plugin = world.books.plugin(&shop).expect("it is installed");
    plugin.revisions().map(|(revision, _)| revision).collect()
}

#[test]
fn only_changes_of_an_installation_are_revisions() {
    let mut world = World::after(SHOP);
    let installed = world.books.seq();
    world.run(
        "plugin shop enabled=true
         call A shop user:1; A set k v; A reply
         wait 60
         skip_due shop pay
         issue plugin:shop coin 5",
    );
    let only = |seq, set_by| Revision { seq, set_by };
    assert_eq!(listed(&world), [only(installed, installed)]);
    world.run("plugin shop config={\"price\":2}");
    let changed = world.books.seq();
    assert_eq!(
        listed(&world),
        [only(changed, changed), only(installed, installed)]
    );
}

/// A game that aborts too often is switched off by its own calls.
#[test]
fn a_revision_that_only_switches_off_names_the_record_with_the_rest() {
    let mut world = World::after(SHOP);
    let installed = world.books.seq();
    world.run(
        "issue plugin:shop coin 5
         call A shop user:1; A secure plugin:shop coin 1; A draw 2; A fault
         call B shop user:1; B secure plugin:shop coin 1; B draw 2; B fault
         call C shop user:1; C secure plugin:shop coin 1; C draw 2; C fault",
    );
    let off = world.books.seq();
    let expected = [
        Revision {
            seq: off,
            set_by: installed,
        },
        Revision {
            seq: installed,
            set_by: installed,
        },
    ];
    assert_eq!(listed(&world), expected);
}

#[test]
fn a_limited_number_of_revisions_is_listed_and_the_oldest_can_be_restored() {
    let mut world = World::after(SHOP);
    let installed = world.books.seq();
    for price in 1..REVISIONS_MAX {
        world.run(&format!("plugin shop config={{\"price\":{}}}", price + 1));
    }
    assert_eq!(listed(&world).len(), REVISIONS_MAX);
    let oldest = listed(&world).pop().expect("there are some");
    assert_eq!(oldest.seq, installed, "all of them are there");
    let mut at_the_limit = world.clone();
    at_the_limit.run(&format!(
        "roll_back shop to={installed} config={{\"price\":1}}"
    ));
    assert!(at_the_limit.rejections.is_empty());
    world.run("plugin shop config={\"price\":0}");
    assert_eq!(listed(&world).len(), REVISIONS_MAX);
    world.run(&format!(
        "roll_back shop to={installed} config={{\"price\":1}}"
    ));
    assert_eq!(
        world.rejections.pop().map(|no| no.kind().code()),
        Some("revision_unknown")
    );
    // The installation before the oldest listed revision is still known.
    let shop: PluginName = id("shop");
    let plugin = world.books.plugin(&shop).expect("it is installed");
    let (_, before) = plugin.revisions().last().expect("there are some");
    assert_eq!(before.map(|before| before.seq), Some(installed));
}

#[test]
fn a_rollback_restores_a_configuration_and_keeps_the_rest() {
    check(
        &format!(
            "{SHOP}
             roll_back shop config={{\"price\":1}}
             plugin shop config={{\"price\":2}} enabled=false
             roll_back shop to=4 config={{\"price\":1}} checked=a
             roll_back shop to=4 config={{\"price\":1}} checked=a
             plugin shop component=b
             roll_back shop to=5 config={{\"price\":2}} checked=a
             roll_back none to=5 config={{\"price\":2}} checked=a"
        ),
        &expect![[r#"
            roll_back shop config={"price":1}: the plugin `shop` has no earlier component or configuration to restore
            plugin shop config={"price":2} enabled=false: changed
            roll_back shop to=4 config={"price":1} checked=a: changed
            roll_back shop to=4 config={"price":1} checked=a: unchanged
            plugin shop component=b: changed
            roll_back shop to=5 config={"price":2} checked=a: the plugin `shop` was changed in the meantime: read it again and repeat the request
            roll_back none to=5 config={"price":2} checked=a: the plugin `none` has no earlier component or configuration to restore
        "#]],
    );
}

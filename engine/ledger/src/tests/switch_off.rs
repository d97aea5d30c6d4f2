//! A plugin whose calls keep failing is switched off, on record, until an operator switches it on again.

use expect_test::expect;

use super::script::{World, id};
use crate::{
    Act, ActiveSwitchOff, PluginName, SwitchOffEvidence, SwitchOffReason, Timestamp, Verdict,
    Violation, check,
};

const SETUP: &str = "
    asset coin
    account user:1
    plugin game component=a grants=requested enabled=true holds=stake/60/capture
    issue user:1 coin 100
    issue plugin:game coin 100
";

fn why() -> SwitchOffEvidence {
    SwitchOffEvidence {
        reason: SwitchOffReason::Faults,
        calls: 20,
        faults: 18,
        deadlines: 1,
        callers: 7,
        cpu_ms: 1_200,
    }
}

fn game(world: &World) -> &crate::Plugin {
    let game: PluginName = id("game");
    world.books.plugin(&game).expect("it is installed")
}

fn switch_off(world: &mut World, as_of: u64) -> Verdict {
    world.act(&Act::SwitchOffPlugin {
        plugin: id("game"),
        as_of,
        why: Box::new(why()),
    })
}

/// Returns the stored reason of the game's switch-off.
fn kept(world: &World) -> Option<ActiveSwitchOff> {
    game(world).switched_off.as_deref().cloned()
}

#[test]
fn the_reason_of_a_switch_off_is_kept_until_the_plugin_is_enabled() {
    let mut world = World::after(SETUP);
    let as_of = game(&world).version;
    let at = world.at();
    assert!(matches!(switch_off(&mut world, as_of), Verdict::Applied(_)));
    let off = ActiveSwitchOff { why: why(), at };
    assert_eq!(kept(&world), Some(off.clone()));
    assert!(!game(&world).installation.enabled);
    assert_ne!(game(&world).version, as_of, "its settings have changed");
    let revisions = game(&world).revisions().map(|(revision, _)| revision.seq);
    assert_eq!(revisions.collect::<Vec<_>>(), [world.books.seq(), as_of]);
    // A change of settings while it is off keeps the reason.
    world.run("plugin game config={\"a\":1}");
    assert_eq!(kept(&world), Some(off.clone()));
    world.run("plugin game component=b");
    assert_eq!(kept(&world), Some(off));
    world.run("plugin game enabled=true");
    assert_eq!(kept(&world), None);
    assert!(game(&world).installation.enabled);
    world.run("plugin game enabled=false");
    assert_eq!(kept(&world), None, "now it is the operator's doing");
    assert_eq!(check(&world.books), []);
}

#[test]
fn only_the_installation_whose_calls_were_counted_is_switched_off() {
    let mut world = World::after(SETUP);
    let as_of = game(&world).version;
    world.run("plugin game config={\"a\":1}");
    assert_eq!(switch_off(&mut world, as_of), Verdict::Unchanged);
    assert!(game(&world).installation.enabled);
    let as_of = game(&world).version;
    world.run("plugin game enabled=false");
    assert_eq!(switch_off(&mut world, as_of), Verdict::Unchanged);
    let as_of = game(&world).version;
    assert_eq!(
        switch_off(&mut world, as_of),
        Verdict::Unchanged,
        "it is off already"
    );
    world.run("remove_plugin game");
    assert_eq!(switch_off(&mut world, as_of), Verdict::Unchanged);
    assert_eq!(check(&world.books), []);
}

#[test]
fn a_running_call_does_not_commit_and_the_next_is_refused_with_the_reason() {
    let mut world = World::after(SETUP);
    world.run("call A game user:1; A pay user:1 -> plugin:game coin 10");
    let as_of = game(&world).version;
    switch_off(&mut world, as_of);
    world.run("A reply; call B game user:1; balance user:1 coin");
    expect![[r#"
        A reply: stale
        call B game user:1: not run, the plugin `game` is disabled
        balance user:1 coin: 100
    "#]]
    .assert_eq(&world.output);
}

/// The game cannot go on, so waiting costs a member nothing, as after draws that were void.
#[test]
fn stakes_are_free_again_in_time() {
    let mut world = World::after(SETUP);
    world.run("call S game user:1; S hold stake user:1 -> plugin:game coin 10; S reply");
    let as_of = game(&world).version;
    switch_off(&mut world, as_of);
    world.run("wait 60; expire S/0; balance user:1 coin; balance plugin:game coin");
    expect![[r#"
        S reply: committed
        expire S/0: changed
        balance user:1 coin: 100
        balance plugin:game coin: 100
    "#]]
    .assert_eq(&world.output);
}

/// A switch-off by an operator returns no stakes, because members who have lost could wait for it.
#[test]
fn stakes_in_a_game_that_its_operator_has_switched_off_end_by_their_own_rule() {
    let mut world = World::after(SETUP);
    world.run(
        "call S game user:1; S hold stake user:1 -> plugin:game coin 10; S reply
         call A game user:1; A draw 2; A fault
         call B game user:1; B draw 2; B fault
         plugin game enabled=false
         wait 60; expire S/0; balance user:1 coin; balance plugin:game coin",
    );
    expect![[r#"
        S reply: committed
        A draw 2: drew 0
        A fault: faulted
        B draw 2: drew 0
        B fault: faulted
        plugin game enabled=false: changed
        balance user:1 coin: 90
        balance plugin:game coin: 110
    "#]]
    .assert_eq(&world.output);
    assert!(!game(&world).was_switched_off());
}

#[test]
fn the_reason_of_a_switch_off_survives_json() {
    let schedule = SwitchOffEvidence {
        reason: SwitchOffReason::Schedule {
            schedule: "restock".into(),
        },
        ..why()
    };
    let kept = ActiveSwitchOff {
        why: schedule,
        at: Timestamp(7),
    };
    let text = serde_json::to_string(&kept).expect("it is JSON");
    expect![[
        r#"{"reason":"schedule","schedule":"restock","calls":20,"faults":18,"deadlines":1,"callers":7,"cpu_ms":1200,"at":7}"#
    ]]
    .assert_eq(&text);
    let read: ActiveSwitchOff = serde_json::from_str(&text).expect("it is what was written");
    assert_eq!(read, kept);
}

#[test]
fn an_enabled_plugin_that_is_marked_as_off_is_found() {
    let mut world = World::after(SETUP);
    let game: PluginName = id("game");
    let mut marked = crate::Plugin::clone(world.books.plugin(&game).expect("it is installed"));
    let at = Timestamp(1);
    marked.switched_off = Some(ActiveSwitchOff { why: why(), at }.into());
    world.books.plugins.insert(game.clone(), marked.into());
    let plugin = game.to_string();
    assert_eq!(
        check(&world.books),
        [Violation::SwitchedOffAndOn { plugin }]
    );
}

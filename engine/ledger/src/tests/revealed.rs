//! Draws after a server seed has become public, which come from another seed.

use expect_test::expect;

use super::script::{World, call_request, id};
use crate::{AccountId, Change, Draft, DrawChange, HostRequest, Timestamp};

const GAME: &str = "
    asset coin
    account user:1
    account user:2
    plugin game component=a grants=requested enabled=true holds=stake/60/capture
    issue user:1 coin 100
    issue plugin:game coin 100
";

/// Otherwise a member could abort a call, learn its draws from the public seed, and bet on them.
#[test]
fn an_aborted_call_gets_new_draws_once_its_seed_is_public() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1; A draw 1000000; A break
         rotate
         call B game user:1; B draw 1000000; B break
         reveal 2
         call A game user:1; A draw 1000000; A reply
         call B game user:1; B draw 1000000; B reply
         seeds",
    );
    expect![[r#"
        A draw 1000000: drew 94880
        A break: broken
        rotate: changed
        B draw 1000000: drew 183291
        B break: broken
        reveal 2: changed
        A draw 1000000: drew 173131
        A reply: committed
        B draw 1000000: drew 183291
        B reply: committed
        seeds: seed 2, 3 draws, hidden from 2, next nonce 4, open []
    "#]]
    .assert_eq(&world.output);
}

/// An operator cannot make a new call draw from a seed that is public.
#[test]
fn an_unused_nonce_of_a_public_seed_is_not_valid() {
    let mut world = World::after(GAME);
    let member: AccountId = id("user:1");
    let old = world.books.draw_origin(&member, 1);
    assert!(world.books.is_unused(&old));
    world.run("rotate");
    assert!(
        world.books.is_unused(&old),
        "calls under way may draw from it"
    );
    world.run("reveal 2");
    assert!(!world.books.is_unused(&old));
    let new = world.books.draw_origin(&member, 1);
    assert!(world.books.is_unused(&new));
}

#[test]
fn a_public_seed_is_shown_and_a_hidden_one_is_not() {
    let mut world = World::after(GAME);
    let revealed = |world: &World, number| {
        let seed = world.books.server_seed(number);
        seed.map(|seed| seed.revealed)
    };
    assert_eq!(revealed(&world, 0), None);
    assert_eq!(revealed(&world, 1), Some(None));
    assert_eq!(
        revealed(&world, 2),
        Some(None),
        "the next one is committed to"
    );
    assert_eq!(revealed(&world, 3), None);
    world.run("rotate; reveal 2");
    let first = world.books.seed().server_seed(1);
    assert_eq!(revealed(&world, 1), Some(Some(first)));
    assert_eq!(revealed(&world, 2), Some(None));
    assert_eq!(revealed(&world, 3), Some(None));
    assert_eq!(revealed(&world, 4), None);
}

/// A call that has drawn and can no longer start loses its draws once its seed is public, so that no member can
/// wait for the seed and repeat them.
#[test]
fn a_call_that_can_no_longer_start_after_its_draw_gets_new_draws() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1; A draw 1000000
         economy frozen
         call B game user:1
         A reply
         call A game user:1; A reply
         economy open
         call A game user:1; A draw 1000000; A reply
         seeds",
    );
    expect![[r#"
        A draw 1000000: drew 94880
        economy frozen: changed
        call B game user:1: not run, the economy is frozen
        A reply: stale
        call A game user:1: not run, the economy is frozen
        A reply: on record, the economy is frozen
        economy open: changed
        A draw 1000000: drew 286312
        A reply: committed
        seeds: seed 1, 1 draws, hidden from 1, next nonce 3, open []
    "#]]
    .assert_eq(&world.output);
}

/// A stake is marked once, with the first seed that its game has drawn from. It is marked again if an aborted
/// call later draws from an earlier seed.
#[test]
fn a_stake_is_marked_with_the_earliest_seed_of_its_game() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1; A hold stake user:1 -> plugin:game coin 10; A reply
         call B game user:1; B keep A/0; B draw 2; B break
         rotate
         call C game user:1; C keep A/0; C draw 2; C reply",
    );
    let marks = |world: &World| {
        let changes = world.decisions.last().expect("a record").changes().iter();
        let marks =
            changes.filter(|change| matches!(change, Change::Draws(DrawChange::HoldDrew { .. })));
        marks.count()
    };
    assert_eq!(marks(&world), 1);
    assert_eq!(world.books.first_seed_in_use(), Some(2));
    world.run("call D game user:1; D keep A/0; D draw 2; D reply");
    assert_eq!(marks(&world), 0, "it is marked already");
    world.run("call B game user:1; B keep A/0; B draw 2; B reply");
    assert_eq!(marks(&world), 1);
    assert_eq!(world.books.first_seed_in_use(), Some(1));
    world.output.clear();
    world.run("reveal 2; call E game user:1; E release A/0; E reply; reveal 2");
    expect![[r#"
        reveal 2: unchanged
        E reply: committed
        reveal 2: changed
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn the_oldest_seed_of_open_games_stays_hidden() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1; A hold stake user:1 -> plugin:game coin 10; A draw 2; A reply
         rotate
         call B game user:1; B hold stake user:1 -> plugin:game coin 10; B draw 2; B reply
         rotate",
    );
    assert_eq!(world.books.first_seed_in_use(), Some(1));
    world.output.clear();
    world.run("reveal 3; call C game user:1; C release A/0; C reply; reveal 3; seeds");
    expect![[r#"
        reveal 3: unchanged
        C reply: committed
        reveal 3: changed
        seeds: seed 3, 0 draws, hidden from 2, next nonce 3, open []
    "#]]
    .assert_eq(&world.output);
}

/// Draws are counted for their own seed, and the age of a seed counts from its rotation.
#[test]
fn the_active_seed_counts_its_own_draws_and_its_own_time() {
    let mut world = World::after(GAME);
    let active = |world: &World| {
        let seed = world.books.active_seed();
        (seed.number, seed.since, seed.draws)
    };
    let opened = world.books.opened_at();
    assert!(opened > Timestamp(0));
    assert_eq!(active(&world), (1, opened, 0));
    world.run("call A game user:1; A draw 2; A draw 2; A break; wait 60; rotate");
    let rotated = world.books.recorded_at();
    assert_eq!(active(&world), (2, rotated, 0));
    world.run("call A game user:1; A draw 2; A draw 2; A reply");
    assert_eq!(
        active(&world),
        (2, rotated, 0),
        "those were made from the first"
    );
    world.run("call B game user:1; B draw 2; B reply");
    assert_eq!(active(&world), (2, rotated, 1));
}

/// Requests after the first draw cannot end a call before its second draw.
#[test]
fn requests_after_the_first_draw_do_not_end_a_call_before_its_second_draw() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1
         A draw 1000000
         A set k x*1048577
         A draw 1000000
         A set k x
         A reply",
    );
    expect![[r#"
        A draw 1000000: drew 94880
        A draw 1000000: drew 549007
        A reply: committed
    "#]]
    .assert_eq(&world.output);
}

#[test]
fn the_origin_of_draws_is_fixed_at_the_first_draw() {
    let world = World::after(GAME);
    let request = call_request("key", "game", "user:1");
    let mut draft = Draft::open(&world.books, &request, world.at()).expect("it begins");
    let origin = |nonce| world.books.draw_origin(&request.caller, nonce);
    draft.draw_from(origin(1));
    draft.draw_from(origin(2));
    assert_eq!(draft.origin(), Some(&origin(2)), "nothing is drawn yet");
    draft.answer(HostRequest::Draw {
        range: 6,
        label: "die".into(),
    });
    draft.draw_from(origin(3));
    assert_eq!(draft.origin(), Some(&origin(2)));
}

/// The text that a plugin mixes into its draws is part of their origin, also if the call aborts.
#[test]
fn an_aborted_call_that_has_mixed_is_recorded() {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1; A mix tickets; A draw 1000000; A break
         call A game user:1; A mix tickets; A draw 1000000; A reply",
    );
    expect![[r#"
        A draw 1000000: drew 253441
        A break: broken
        A draw 1000000: drew 253441
        A reply: committed
    "#]]
    .assert_eq(&world.output);
}

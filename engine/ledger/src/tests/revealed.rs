//! Seeds that have become public: whatever is drawn afterwards is drawn from another one.

use expect_test::expect;

use super::script::{World, id};
use crate::AccountId;

const GAME: &str = "
    asset coin
    account user:1
    account user:2
    plugin game component=a grants=requested enabled=true holds=stake/60/capture
    issue user:1 coin 100
    issue plugin:game coin 100
";

/// Else whoever broke a call off would know what it draws, and could bet on that.
#[test]
fn a_call_that_broke_off_draws_anew_once_its_seed_is_public() {
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
    .assert_eq(&world.said);
}

/// An operator cannot make a call of today draw from a seed that members have seen.
#[test]
fn a_nonce_that_is_left_over_is_no_good_for_a_public_seed() {
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
fn a_public_seed_is_told_and_a_hidden_one_is_not() {
    let mut world = World::after(GAME);
    let told = |world: &World, number| {
        let seed = world.books.server_seed(number);
        seed.map(|seed| seed.revealed)
    };
    assert_eq!(told(&world, 0), None);
    assert_eq!(told(&world, 1), Some(None));
    assert_eq!(told(&world, 2), Some(None), "the next one is committed to");
    assert_eq!(told(&world, 3), None);
    world.run("rotate; reveal 2");
    let first = world.books.seed().server_seed(1);
    assert_eq!(told(&world, 1), Some(Some(first)));
    assert_eq!(told(&world, 2), Some(None));
    assert_eq!(told(&world, 3), Some(None));
    assert_eq!(told(&world, 4), None);
}

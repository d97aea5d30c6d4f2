//! The effects of a record: each kind of act lists exactly its own changes.

use super::script::{World, id};
use crate::{Amount, AssetId, Change, Flow, HoldEnd, HoldId, TransferId};

const SETUP: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    issue user:1 coin 100
    issue user:2 gem 10";

/// Returns the changes of the record that a line adds.
fn changes_of(world: &mut World, line: &str) -> Vec<Change> {
    let before = world.decisions.len();
    world.run(line);
    assert_eq!(
        world.decisions.len(),
        before + 1,
        "{line}: {}",
        world.output
    );
    let decision = world.decisions.last().expect("a record was made");
    decision.changes().to_vec()
}

fn number(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

/// Transfers are the most frequent records, and each change in them is stored for ever.
#[test]
fn transfers_record_no_other_changes() {
    let mut world = World::after(SETUP);
    for line in [
        "transfer user:1 -> user:2 coin 30",
        "transfer user:1 -> user:2 coin 5, user:2 -> user:1 gem 5, user:2 -> user:1 coin 5",
        "admin_transfer user:1 -> user:2 coin 1",
        "batch user:1 -> user:2 coin 3, user:2 -> user:1 gem 2",
    ] {
        assert_eq!(changes_of(&mut world, line), [], "{line}");
    }
}

#[test]
fn issued_and_burned_amounts_are_counted_once() {
    let mut world = World::after(SETUP);
    let coin: AssetId = id("coin");
    let moved = |issued, burned| Change::SupplyMoved {
        asset: coin.clone(),
        plugin: None,
        flow: Flow { issued, burned },
    };
    let issued = changes_of(&mut world, "issue user:1 coin 7");
    assert_eq!(issued, [moved(7, 0)]);
    let burned = changes_of(&mut world, "burn user:1 coin 3");
    assert_eq!(burned, [moved(0, 3)]);
    let issued = changes_of(&mut world, "issue user:1 coin 1");
    assert_eq!(issued, [moved(1, 0)]);
    let burned = changes_of(&mut world, "burn user:1 coin 1");
    assert_eq!(burned, [moved(0, 1)]);
}

#[test]
fn a_hold_or_a_reversal_records_one_change() {
    let mut world = World::after(SETUP);
    let hold = HoldId(number(1));
    let placed = changes_of(&mut world, "hold 1 user:1 -> user:2 coin 30");
    assert!(
        matches!(&placed[..], [Change::HoldPlaced { hold: placed, .. }] if *placed == hold),
        "{placed:?}"
    );
    let captured = changes_of(&mut world, "capture 1 10");
    let amount = Amount::new(10).expect("an amount");
    assert_eq!(captured, [Change::HoldCaptured { hold, amount }]);
    let released = changes_of(&mut world, "release 1");
    let end = HoldEnd::Released;
    assert_eq!(released, [Change::HoldEnded { hold, end }]);
    let reversed = changes_of(&mut world, "reverse 3 of=2 user:2 -> user:1 coin 10");
    let original = TransferId(number(2));
    let reversal = TransferId(number(3));
    assert_eq!(reversed, [Change::Reversed { original, reversal }]);
}

/// A part is the index of a transfer in a batch; any other act has one part.
#[test]
fn only_a_batch_has_parts() {
    let mut world = World::after(SETUP);
    let mut parts = |line: &str| {
        world.run(line);
        let decision = world.decisions.last().expect("a record was made");
        let movements = decision.movements().iter();
        movements.map(|movement| movement.part).collect::<Vec<_>>()
    };
    let two = "user:1 -> user:2 coin 3, user:2 -> user:1 coin 1";
    assert_eq!(parts(&format!("transfer {two}")), [0, 0]);
    assert_eq!(parts(&format!("batch {two}")), [0, 1]);
    assert_eq!(parts("issue user:1 coin 5"), [0]);
    parts("hold 1 user:1 -> user:2 coin 3");
    assert_eq!(parts("capture 1"), [0]);
    parts("plugin shop component=a grants=requested enabled=true holds=stake/60/capture");
    let call = "call A shop user:1; A hold stake user:1 -> plugin:shop coin 2; A capture A/0";
    let call = format!("{call}; A pay user:1 -> plugin:shop coin 1; A reply");
    assert_eq!(parts(&call), [0, 0]);
}

/// Spending is counted only if a budget limits it.
#[test]
fn a_payment_without_a_budget_is_not_counted() {
    let pays = "call A shop user:1; A pay user:1 -> plugin:shop coin 1; A reply";
    let install = "plugin shop component=a grants=requested enabled=true";
    let mut world = World::after(SETUP);
    world.run(install);
    assert_eq!(changes_of(&mut world, pays), []);
    let mut world = World::after(SETUP);
    world.run(&format!("{install} requests=daily/coin/5"));
    let counted = changes_of(&mut world, pays);
    assert!(
        matches!(&counted[..], [Change::BudgetSpent { amount: 1, .. }]),
        "{counted:?}"
    );
}

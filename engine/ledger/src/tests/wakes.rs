//! Due times that calls have moved to an earlier moment.

use expect_test::expect;

use super::script::{World, check};
use crate::Change;

/// A plugin whose schedule has set its next due time, in ten minutes.
const BANK: &str = "
    asset coin
    account user:1
    plugin bank component=a grants=requested enabled=true schedules=pay/60/catch_up
    wait 60
    call A bank plugin:bank due=60000 action=pay; A wake pay 600001; A reply
";

#[test]
fn the_earliest_of_several_requested_times_counts() {
    check(
        &format!(
            "{BANK}
             due bank
             call B bank user:1; B wake pay 400000; B wake pay 120000; B wake pay 300000; B reply
             due bank"
        ),
        &expect![[r#"
            A reply: committed
            due bank: pay at 660000
            B reply: committed
            due bank: pay at 120000
        "#]],
    );
}

#[test]
fn a_requested_time_that_is_due_anyway_changes_nothing() {
    let moves = |from: u64| {
        let mut world = World::after(BANK);
        world.run(&format!("call B bank user:1; B wake pay {from}; B reply"));
        let record = world.decisions.last().expect("the call is on record");
        let moves = |change: &&Change| matches!(change, Change::DueMoved { .. });
        record.changes().iter().filter(moves).count()
    };
    assert_eq!(moves(600_000), 1);
    assert_eq!(moves(600_001), 0);
}

//! Records that set the clock, and outages that extend holds.

use super::script::{World, id};
use crate::{
    AccountId, Act, Books, BudgetCounter, Day, Hold, HoldId, Payer, Seed, Timestamp, Verdict,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

const BANK: &str = "
    asset coin
    account user:1
    account user:2
    plugin bank component=a requests=credit/issuer:coin,debit/issuer:coin,daily/coin/100,issue/coin/100 \
        grants=requested enabled=true \
        holds=stake/60/capture schedules=pay/60/catch_up,tidy/3600/skip
    issue user:1 coin 100";

fn set(world: &mut World, from: u64, to: u64) -> Verdict {
    world.act(&Act::SetClock {
        from: Timestamp(from),
        to: Timestamp(to),
    })
}

fn holds(world: &World) -> Vec<(HoldId, Hold)> {
    let holds = world.books.holds_after(None, None);
    holds.map(|(id, hold)| (id, Hold::clone(hold))).collect()
}

fn due(world: &World, schedule: &str) -> u64 {
    let schedule = world.books.schedule(&id("bank"), schedule);
    schedule.expect("it is scheduled").next_due.0
}

#[test]
fn open_holds_and_due_times_move_with_a_set_clock() {
    for by in [-7_000_000_i64, 7_000_000] {
        let mut world = World::after(BANK);
        world.run("wait 10000; hold 7 user:1 -> user:2 coin 3 for=60");
        let at = world.at().0;
        let to = at.saturating_add_signed(by);
        let before = holds(&world);
        assert!(matches!(set(&mut world, at, to), Verdict::Applied(_)));
        let moved = |moment: Timestamp| moment.0.saturating_add_signed(by);
        assert_eq!((before.len(), holds(&world).len()), (1, 1));
        for ((_, was), (_, is)) in before.iter().zip(holds(&world)) {
            assert_eq!(is.placed_at.0, moved(was.placed_at));
            assert_eq!(is.expires_at.0, moved(was.expires_at));
            assert_eq!(is.due_at.0, moved(was.due_at));
            assert_eq!(world.books.next_due(), Some(is.due_at));
        }
        let steps = world.books.steps_back().len();
        assert_eq!(
            steps,
            usize::from(by < 0),
            "only what goes back is a step back"
        );
        assert!(world.books.opened_at().0 <= to);
    }
}

#[test]
fn setting_the_same_time_changes_nothing() {
    let mut world = World::after(BANK);
    assert_eq!(set(&mut world, 5, 5), Verdict::Unchanged);
}

#[test]
fn schedules_stay_within_one_interval_after_a_step_back_and_keep_their_times_after_a_step_ahead() {
    let mut world = World::after(BANK);
    assert_eq!(
        (due(&world, "pay"), due(&world, "tidy")),
        (60_000, 3_600_000)
    );
    set(&mut world, 1_000, 1_000 + DAY_MS);
    assert_eq!(
        (due(&world, "pay"), due(&world, "tidy")),
        (60_000, 3_600_000)
    );
    // 59 s and an hour were left, rounded up to multiples of the interval.
    set(&mut world, 1_000, 500);
    assert_eq!(
        (due(&world, "pay"), due(&world, "tidy")),
        (60_000, 3_600_000)
    );
    world.run("wait 1000000; skip_due bank tidy");
    let at = world.at().0;
    let left = due(&world, "tidy") - at;
    let to = 30_000;
    set(&mut world, at, to);
    let next = due(&world, "tidy");
    assert_eq!(next % 3_600_000, 0);
    assert!(
        (left..=left + 3_600_000).contains(&(next - to)),
        "{next}, {left}"
    );
}

/// Returns the amount that the bank has taken from `user:1` on a day.
fn spent(world: &World, day: u64) -> u64 {
    let member: AccountId = id("user:1");
    let counter = BudgetCounter {
        plugin: id("bank"),
        payer: Payer::Caller(member),
        asset: id("coin"),
    };
    world.books.spent_on(Day(day), &counter)
}

#[test]
fn no_stored_time_is_later_than_a_time_that_was_set_back() {
    let mut world = World::after(BANK);
    world.books = Books::new(Seed::new([1; 32]), Timestamp(5_000));
    let opened = |world: &World| world.books.opened_at().0;
    set(&mut world, 5_000, 9_000);
    assert_eq!(opened(&world), 5_000);
    set(&mut world, 9_000, 3_000);
    assert_eq!(opened(&world), 3_000);
    let mut world = World::after(BANK);
    world.run("wait 5000; rotate");
    let since = |world: &World| world.books.active_seed().since.0;
    let rotated = since(&world);
    let at = world.at().0;
    set(&mut world, at, at + 1_000);
    assert_eq!(since(&world), rotated);
    set(&mut world, at, rotated - 1_000);
    assert_eq!(since(&world), rotated - 1_000);
}

#[test]
fn counts_of_today_stay_after_a_step_of_the_clock() {
    let mut world = World::after(BANK);
    world.run("wait 1000; call A bank user:1; A pay user:1 -> plugin:bank coin 10; A reply");
    let at = world.at().0;
    for to in [at - 1, at + DAY_MS] {
        set(&mut world, at, to);
        assert_eq!((spent(&world, 0), spent(&world, 1)), (10, 0));
    }
}

#[test]
fn books_in_which_nothing_waits_depend_on_the_clock_until_their_last_record() {
    let world = World::after("asset coin; wait 1000; account user:1");
    let last = world.books.recorded_at().0;
    let depends = |to: u64| world.books.depends_on_clock(Timestamp(to));
    assert!(depends(last - 1));
    assert!(!depends(last) && !depends(last + 1));
    let mut world = World::after("asset coin; account user:1; account user:2; issue user:1 coin 5");
    world.run("hold 7 user:1 -> user:2 coin 3 for=60");
    assert!(world.books.depends_on_clock(Timestamp(u64::MAX)));
    let world = World::after(BANK);
    assert!(world.books.depends_on_clock(Timestamp(u64::MAX)));
}

#[test]
fn counts_of_a_later_day_move_to_today_after_a_step_back() {
    let mut world = World::after(BANK);
    let pay = "pay user:1 -> plugin:bank coin 10; ";
    world.run(&format!("call A bank user:1; A {pay} A reply"));
    world.run(&format!("wait 172800; call B bank user:1; B {pay} B reply"));
    world.run("issue user:2 coin 5");
    assert_eq!(world.output, "A reply: committed\nB reply: committed\n");
    assert_eq!(spent(&world, 2), 10);
    let today = spent(&world, 0);
    let at = world.at().0;
    set(&mut world, at, at - 2 * DAY_MS);
    assert_eq!((spent(&world, 0), spent(&world, 2)), (today + 10, 0));
    let coin = id("coin");
    let issued = world.books.flows(&coin, Day(0));
    let issued: Vec<_> = issued.map(|(day, _, flow)| (day.0, flow.issued)).collect();
    assert_eq!(issued, [(0, 105)]);
}

#[test]
fn an_outage_extends_holds_of_games_only_and_once() {
    let mut world = World::after(BANK);
    world.run("hold 7 user:1 -> user:2 coin 3 for=60");
    world.run("call A bank user:1; A hold stake user:1 -> plugin:bank coin 10; A reply");
    let before = holds(&world);
    let ids: Vec<HoldId> = before.iter().map(|(id, _)| *id).collect();
    let extend = |from: u64, until: u64| Act::ExtendHolds {
        holds: ids.clone(),
        from: Timestamp(from),
        until: Timestamp(until),
    };
    let longer = |world: &World| -> Vec<u64> {
        let after = holds(world).into_iter().map(|(_, hold)| hold.expires_at.0);
        after
            .zip(&before)
            .map(|(is, (_, was))| is - was.expires_at.0)
            .collect()
    };
    let of_game = |by: u64| -> Vec<u64> {
        let by = |hold: &Hold| if hold.plugin.is_some() { by } else { 0 };
        before.iter().map(|(_, hold)| by(hold)).collect()
    };
    let from = world.at().0;
    let until = world.at().0 + 7_000;
    assert!(matches!(
        world.act(&extend(from, until)),
        Verdict::Applied(_)
    ));
    assert_eq!(longer(&world), of_game(7_000));
    // A start that finds the same outage one second later extends by that second.
    assert_eq!(world.act(&extend(from, until)), Verdict::Unchanged);
    world.act(&extend(from, until + 1_000));
    assert_eq!(longer(&world), of_game(8_000));
    // A hold that was placed during the outage is extended by the rest of it.
    let mut world = World::after(BANK);
    world.run("call A bank user:1; A hold stake user:1 -> plugin:bank coin 10; A reply");
    let placed = holds(&world).first().expect("a stake").1.placed_at.0;
    let act = Act::ExtendHolds {
        holds: holds(&world).iter().map(|(id, _)| *id).collect(),
        from: Timestamp(0),
        until: Timestamp(placed + 5),
    };
    world.act(&act);
    let stakes = holds(&world);
    let (_, hold) = stakes.first().expect("a stake");
    assert_eq!(hold.expires_at.0, placed + 60_000 + 5);
}

//! The breaker: each of its conditions at its bound and one beyond, and over random calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const DEADLINE: Duration = Duration::from_secs(2);

/// A breaker, and a plugin whose calls it counts.
struct Watch {
    breaker: Breaker,
    now: Duration,
}

impl Watch {
    fn new() -> Self {
        Self {
            breaker: Breaker::new([7; 32], DEADLINE),
            now: Duration::ZERO,
        }
    }

    fn end(
        &mut self,
        source: CallSource,
        verdict: CallVerdict,
        cpu_ms: u64,
    ) -> Option<SwitchOffEvidence> {
        let end = CallEnd {
            of: plugin(0),
            version: 1,
            source,
            verdict,
            cpu: Duration::from_millis(cpu_ms),
        };
        self.breaker.note(end, self.now).map(|trip| trip.why)
    }

    fn call(
        &mut self,
        caller: usize,
        verdict: CallVerdict,
        cpu_ms: u64,
    ) -> Option<SwitchOffEvidence> {
        self.end(member(caller), verdict, cpu_ms)
    }

    fn run(&mut self, verdict: CallVerdict, cpu_ms: u64) -> Option<SwitchOffEvidence> {
        self.end(CallSource::Schedule("tidy".into()), verdict, cpu_ms)
    }
}

fn plugin(number: usize) -> (EconomyId, PluginName) {
    let economy = format!("guild{number}").parse().unwrap();
    (economy, "shop".parse().unwrap())
}

fn member(number: usize) -> CallSource {
    CallSource::Caller(format!("user:{number}").parse().unwrap())
}

/// The call with which calls like these switch off, of at most so many; callers take turns.
fn trips_at(most: usize, callers: usize, verdict: CallVerdict, cpu_ms: u64) -> Option<usize> {
    let mut watch = Watch::new();
    (0..most).find(|number| watch.call(number % callers, verdict, cpu_ms).is_some())
}

use CallVerdict::{Deadline, Fault, Good};

#[test]
fn costly_faults_switch_off_with_the_last_of_the_fewest_calls() {
    let last = usize::try_from(CALLS_MIN).unwrap() - 1;
    assert_eq!(trips_at(1_000, CALLERS_MIN, Fault, 500), Some(last));
    assert_eq!(trips_at(last, CALLERS_MIN, Fault, 500), None);
    assert_eq!(trips_at(1_000, CALLERS_MIN, Deadline, 1_900), Some(last));
}

#[test]
fn fewer_callers_switch_nothing_off() {
    assert_eq!(trips_at(10_000, CALLERS_MIN - 1, Fault, 500), None);
    assert_eq!(trips_at(10_000, 1, Deadline, 2_000), None);
}

/// A fault that costs nothing is a bug of the shop's all the same: it switches off, after many of them.
#[test]
fn cheap_faults_switch_off_slowly() {
    let calls = CPU_MIN.as_millis() / FAULT_CPU_MIN.as_millis();
    let last = usize::try_from(calls).unwrap() - 1;
    assert_eq!(trips_at(1_000, 10, Fault, 0), Some(last));
    let ten = usize::try_from(CPU_MIN.as_millis() / 10).unwrap() - 1;
    assert_eq!(trips_at(1_000, 10, Fault, 10), Some(ten));
}

#[test]
fn deadlines_with_little_processor_time_are_the_machines() {
    assert_eq!(trips_at(10_000, 100, Deadline, 999), None);
    assert_eq!(trips_at(1_000, 100, Deadline, 1_000), Some(19));
}

#[test]
fn half_of_the_calls_must_fail() {
    for (good, trips) in [(1, true), (2, false)] {
        let mut watch = Watch::new();
        let mut tripped = false;
        for number in 0..500 {
            tripped |= watch.call(number % 50, Fault, 100).is_some();
            for _ in 0..good {
                tripped |= watch.call(number % 50, Good, 1).is_some();
            }
        }
        assert_eq!(tripped, trips, "{good} good calls for a failed one");
    }
}

#[test]
fn what_was_counted_is_told() {
    let mut watch = Watch::new();
    let why = (0..).find_map(|number| match number % 4 {
        0 => watch.call(number % 7, Good, 3),
        1 => watch.call(number % 7, Deadline, 1_500),
        _ => watch.call(number % 7, Fault, 100),
    });
    let why = why.unwrap();
    assert_eq!(why.reason, SwitchOffReason::Faults);
    // The first call was good: nothing was counted before the second.
    assert_eq!((why.calls, why.faults, why.deadlines), (20, 10, 5));
    assert_eq!((why.callers, why.cpu_ms), (7, 8_500));
    let mut watch = Watch::new();
    let why = (0..).find_map(|number| watch.call(number % 7, Deadline, 1_500));
    assert_eq!(why.unwrap().reason, SwitchOffReason::Deadlines);
}

#[test]
fn after_a_trip_it_is_counted_from_the_beginning() {
    let mut watch = Watch::new();
    for _ in 0..3 {
        let at = (0..1_000).find(|number| watch.call(number % 9, Fault, 500).is_some());
        assert_eq!(at, Some(19));
        assert!(watch.breaker.watched.is_empty());
    }
}

#[test]
fn other_settings_are_counted_from_the_beginning() {
    let mut watch = Watch::new();
    let end = |number: u64, version| CallEnd {
        of: plugin(0),
        version,
        source: member(usize::try_from(number % 9).unwrap()),
        verdict: Fault,
        cpu: DEADLINE,
    };
    for number in 0..19 {
        assert_eq!(watch.breaker.note(end(number, 1), watch.now), None);
    }
    for number in 0..19 {
        assert_eq!(watch.breaker.note(end(number, 2), watch.now), None);
    }
    let trip = watch.breaker.note(end(19, 2), watch.now).unwrap();
    assert_eq!((trip.of, trip.as_of, trip.why.calls), (plugin(0), 2, 20));
}

#[test]
fn what_failed_long_ago_is_forgotten() {
    // One failed call in each half of the window, and then some: never enough at once.
    let mut watch = Watch::new();
    for number in 0..500 {
        for caller in 0..9 {
            assert_eq!(watch.call(caller, Fault, 400), None, "{number}");
        }
        watch.now += WINDOW / 2;
    }
    // Nine calls in each of two halves are eighteen; a tenth is too many.
    watch.call(0, Fault, 400);
    let mut more = (0..20).map(|caller| watch.call(caller % 9, Fault, 400));
    assert!(more.any(|why| why.is_some()));
    // A plugin without a failed call in the window takes no room.
    watch.call(0, Fault, 400);
    watch.now += WINDOW;
    watch.call(0, Good, 1);
    assert!(watch.breaker.watched.is_empty());
}

#[test]
fn a_schedule_that_always_fails_switches_off_without_callers() {
    let runs = |cpu_ms| {
        let mut watch = Watch::new();
        (0..1_000).find(|_| {
            watch.now += WINDOW;
            watch.run(Fault, cpu_ms).is_some()
        })
    };
    assert_eq!(runs(500), Some(19), "however rarely it runs");
    assert_eq!(runs(0), Some(199));
    let mut watch = Watch::new();
    for number in 0..1_000 {
        let verdict = if number % 20 == 19 { Good } else { Fault };
        assert_eq!(watch.run(verdict, 500), None, "a good run begins anew");
    }
    for number in 0..100 {
        assert_eq!(watch.run(Deadline, 900), None, "{number}: a busy machine");
    }
}

#[test]
fn schedules_that_are_gone_take_no_room() {
    let mut watch = Watch::new();
    for number in 0..100 {
        watch.end(CallSource::Schedule(format!("s{number}")), Fault, 1);
        let watched = watch.breaker.watched.values().next().unwrap();
        assert!(watched.schedules.len() <= SCHEDULES_MAX);
    }
}

#[test]
fn plugins_and_callers_are_remembered_up_to_their_bounds() {
    let mut watch = Watch::new();
    let end = |number, caller| CallEnd {
        of: plugin(number),
        version: 1,
        source: member(caller),
        verdict: Fault,
        cpu: Duration::ZERO,
    };
    for number in 0..=PLUGINS_WATCHED_MAX {
        let now = Duration::from_millis(u64::try_from(number).unwrap());
        watch.breaker.note(end(number, 0), now);
    }
    assert_eq!(watch.breaker.watched.len(), PLUGINS_WATCHED_MAX);
    assert!(
        !watch.breaker.watched.contains_key(&plugin(0)),
        "the oldest makes room"
    );
    // Many callers of one plugin: a sample of them.
    for caller in 0..150 {
        watch.breaker.note(end(1, caller), watch.now);
    }
    let callers = watch.breaker.watched[&plugin(1)].calls.callers();
    assert_eq!(callers, (CALLERS_KEPT_MAX, CALLERS_KEPT_MAX));
}

/// A sample of callers shows what most of them meet, however many there are.
#[test]
fn of_a_thousand_callers_most_must_fail() {
    for (failing, trips) in [(700, true), (300, false)] {
        let mut watch = Watch::new();
        let mut tripped = false;
        for number in 0..1_000 {
            // All kinds of callers come at any time.
            let caller = number * 387 % 1_000;
            // Those who fail call more often, so that most calls fail in either case.
            let (verdict, calls) = if caller < failing {
                (Fault, 4)
            } else {
                (Good, 1)
            };
            for _ in 0..calls {
                tripped |= watch.call(caller, verdict, 10).is_some();
            }
        }
        assert_eq!(tripped, trips, "{failing} of a thousand callers");
    }
}

/// A call of some caller: whether it fails, in which way, and what it takes.
fn calls() -> impl Strategy<Value = Vec<(usize, u8, u64, u64)>> {
    vec((0_usize..40, 0_u8..3, 0_u64..3_000, 0_u64..30_000), 1..600)
}

proptest! {
    /// A few members cannot switch a shop off, nor can they on a busy machine.
    #[test]
    fn few_members_switch_nothing_off(calls in calls()) {
        let mut watch = Watch::new();
        for (caller, kind, cpu, passes) in calls {
            watch.now += Duration::from_millis(passes);
            let verdict = if caller >= CALLERS_MIN - 1 {
                Good
            } else {
                [Fault, Deadline, Good][usize::from(kind)]
            };
            prop_assert_eq!(watch.call(caller, verdict, cpu), None);
        }
    }

    /// Accounts that fail on purpose, as often as they like, beside more members whose calls go well.
    #[test]
    fn a_minority_of_callers_switches_nothing_off(
        attackers in 5_usize..20, calls in vec((0_usize..400, 0_u64..3_000), 1..600)
    ) {
        let mut watch = Watch::new();
        // Nothing is remembered of those who came before the first failed call.
        watch.call(0, Fault, 3_000);
        for caller in attackers..=attackers * 2 + 1 {
            watch.call(caller, Good, 1);
        }
        for (caller, cpu) in calls {
            prop_assert_eq!(watch.call(caller % attackers, Fault, cpu), None);
        }
    }

    /// A plugin that fails for everybody is off soon, in any order of callers.
    #[test]
    fn a_plugin_that_fails_for_everybody_is_switched_off(
        callers in vec(0_usize..12, 400), cpu in 5_u64..3_000
    ) {
        let mut watch = Watch::new();
        let off = callers.iter().any(|caller| watch.call(*caller, Fault, cpu).is_some());
        prop_assert!(off);
    }

    /// Deadlines on a busy machine count for nothing, not even as calls.
    #[test]
    fn a_busy_machine_switches_nothing_off(
        calls in vec((0_usize..40, 0_u64..1_000, 0_u64..1_000), 1..600)
    ) {
        let mut watch = Watch::new();
        for (caller, cpu, passes) in calls {
            watch.now += Duration::from_millis(passes);
            prop_assert_eq!(watch.call(caller, Deadline, cpu), None);
            prop_assert!(watch.breaker.watched.is_empty());
        }
    }

    /// A switch-off tells what was counted, and that was enough.
    #[test]
    fn every_switch_off_meets_its_bounds(calls in calls()) {
        let mut watch = Watch::new();
        for (caller, kind, cpu, passes) in calls {
            watch.now += Duration::from_millis(passes);
            let verdict = [Fault, Fault, Good][usize::from(kind)];
            if let Some(why) = watch.call(caller % 9, verdict, cpu) {
                prop_assert!(why.calls >= CALLS_MIN);
                prop_assert!((why.faults + why.deadlines) * 2 >= why.calls);
                prop_assert!(usize::try_from(why.callers).unwrap() >= CALLERS_MIN);
                prop_assert!(u128::from(why.cpu_ms) >= CPU_MIN.as_millis());
            }
        }
    }
}

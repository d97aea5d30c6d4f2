//! Tests of the breaker: each condition at its bound and one beyond, and random calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::tally::{CALLERS_KEPT_MAX, CALLERS_MIN, CALLS_MIN, FAULT_CPU_MIN, WINDOW};
use super::*;

const DEADLINE: Duration = Duration::from_secs(2);

/// A breaker with a time, and calls of one plugin.
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
        self.breaker.count(end, self.now).map(|trip| trip.why)
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

/// Makes up to `most` calls by callers in turn. Returns the index of the call that switches the plugin off.
fn trips_at(most: usize, callers: usize, verdict: CallVerdict, cpu_ms: u64) -> Option<usize> {
    let mut watch = Watch::new();
    (0..most).find(|number| watch.call(number % callers, verdict, cpu_ms).is_some())
}

use CallVerdict::{Deadline, Fault, Good};

#[test]
fn costly_faults_switch_off_at_the_minimum_number_of_calls() {
    let last = usize::try_from(CALLS_MIN).unwrap() - 1;
    assert_eq!(trips_at(1_000, CALLERS_MIN, Fault, 500), Some(last));
    assert_eq!(trips_at(last, CALLERS_MIN, Fault, 500), None);
    assert_eq!(trips_at(1_000, CALLERS_MIN, Deadline, 1_900), Some(last));
}

#[test]
fn too_few_callers_switch_nothing_off() {
    assert_eq!(trips_at(10_000, CALLERS_MIN - 1, Fault, 500), None);
    assert_eq!(trips_at(10_000, 1, Deadline, 2_000), None);
}

/// A fault without processor time is an error of the plugin too, and switches it off after many of them.
#[test]
fn cheap_faults_switch_off_slowly() {
    let calls = CPU_MIN.as_millis() / FAULT_CPU_MIN.as_millis();
    let last = usize::try_from(calls).unwrap() - 1;
    assert_eq!(trips_at(1_000, 10, Fault, 0), Some(last));
    let ten = usize::try_from(CPU_MIN.as_millis() / 10).unwrap() - 1;
    assert_eq!(trips_at(1_000, 10, Fault, 10), Some(ten));
}

#[test]
fn deadlines_with_little_processor_time_do_not_count() {
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
fn evidence_has_the_counts() {
    let mut watch = Watch::new();
    let why = (0..).find_map(|number| match number % 4 {
        0 => watch.call(number % 7, Good, 3),
        1 => watch.call(number % 7, Deadline, 1_500),
        _ => watch.call(number % 7, Fault, 100),
    });
    let why = why.unwrap();
    assert_eq!(why.reason, SwitchOffReason::Faults);
    // The first call succeeded, and counts start with the first failed one.
    assert_eq!((why.calls, why.faults, why.deadlines), (20, 10, 5));
    assert_eq!((why.callers, why.cpu_ms), (7, 8_500));
    let mut watch = Watch::new();
    let why = (0..).find_map(|number| watch.call(number % 7, Deadline, 1_500));
    assert_eq!(why.unwrap().reason, SwitchOffReason::Deadlines);
}

#[test]
fn counts_start_again_after_a_switch_off() {
    let mut watch = Watch::new();
    for _ in 0..3 {
        let at = (0..1_000).find(|number| watch.call(number % 9, Fault, 500).is_some());
        assert_eq!(at, Some(19));
        assert!(watch.breaker.plugins.is_empty());
    }
}

#[test]
fn counts_start_again_after_a_change_of_settings() {
    let mut watch = Watch::new();
    let end = |number: u64, version| CallEnd {
        of: plugin(0),
        version,
        source: member(usize::try_from(number % 9).unwrap()),
        verdict: Fault,
        cpu: DEADLINE,
    };
    for number in 0..19 {
        assert_eq!(watch.breaker.count(end(number, 1), watch.now), None);
    }
    for number in 0..19 {
        assert_eq!(watch.breaker.count(end(number, 2), watch.now), None);
    }
    let trip = watch.breaker.count(end(19, 2), watch.now).unwrap();
    assert_eq!((trip.of, trip.as_of, trip.why.calls), (plugin(0), 2, 20));
}

#[test]
fn old_failures_do_not_count() {
    // Nine failed calls in each half of the window are never enough together.
    let mut watch = Watch::new();
    for number in 0..500 {
        for caller in 0..9 {
            assert_eq!(watch.call(caller, Fault, 400), None, "{number}");
        }
        watch.now += WINDOW / 2;
    }
    // Nine calls in each of two halves are eighteen, and twenty are enough.
    watch.call(0, Fault, 400);
    let mut more = (0..20).map(|caller| watch.call(caller % 9, Fault, 400));
    assert!(more.any(|why| why.is_some()));
    // A plugin without a failed call in the window has no counts.
    watch.call(0, Fault, 400);
    watch.now += WINDOW;
    watch.call(0, Good, 1);
    assert!(watch.breaker.plugins.is_empty());
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
        assert_eq!(
            watch.run(verdict, 500),
            None,
            "a successful run resets the count"
        );
    }
    for number in 0..100 {
        assert_eq!(watch.run(Deadline, 900), None, "{number}: a busy machine");
    }
}

#[test]
fn removed_schedules_use_no_memory() {
    let mut watch = Watch::new();
    for number in 0..100 {
        watch.end(CallSource::Schedule(format!("s{number}")), Fault, 1);
        let counts = watch.breaker.plugins.values().next().unwrap();
        assert!(counts.schedules.len() <= SCHEDULES_MAX);
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
        watch.breaker.count(end(number, 0), now);
    }
    assert_eq!(watch.breaker.plugins.len(), PLUGINS_WATCHED_MAX);
    assert!(
        !watch.breaker.plugins.contains_key(&plugin(0)),
        "the oldest is removed"
    );
    // A sample is kept of many callers of one plugin.
    for caller in 0..150 {
        watch.breaker.count(end(1, caller), watch.now);
    }
    let callers = watch.breaker.plugins[&plugin(1)].calls.callers();
    assert_eq!(callers, (CALLERS_KEPT_MAX, CALLERS_KEPT_MAX));
}

/// The sample represents all callers, even if there are many more than it holds.
#[test]
fn most_of_a_thousand_callers_must_fail() {
    for (failing, trips) in [(700, true), (300, false)] {
        let mut watch = Watch::new();
        let mut tripped = false;
        for number in 0..1_000 {
            // Failing and other callers are mixed.
            let caller = number * 387 % 1_000;
            // Failing callers call more often, so that most calls fail in both cases.
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

/// Returns random calls: the caller, the kind of result, the processor time, and the pause before the call.
fn calls() -> impl Strategy<Value = Vec<(usize, u8, u64, u64)>> {
    vec((0_usize..40, 0_u8..3, 0_u64..3_000, 0_u64..30_000), 1..600)
}

proptest! {
    /// A few members cannot switch a plugin off, not even on a busy machine.
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

    /// Accounts may fail on purpose any number of times, if more members succeed.
    #[test]
    fn a_minority_of_callers_switches_nothing_off(
        attackers in 5_usize..20, calls in vec((0_usize..400, 0_u64..3_000), 1..600)
    ) {
        let mut watch = Watch::new();
        // Calls before the first failed one are not counted.
        watch.call(0, Fault, 3_000);
        for caller in attackers..=attackers * 2 + 1 {
            watch.call(caller, Good, 1);
        }
        for (caller, cpu) in calls {
            prop_assert_eq!(watch.call(caller % attackers, Fault, cpu), None);
        }
    }

    /// A plugin that fails for all callers is switched off soon, in any order of callers.
    #[test]
    fn a_plugin_that_fails_for_all_callers_is_switched_off(
        callers in vec(0_usize..12, 400), cpu in 5_u64..3_000
    ) {
        let mut watch = Watch::new();
        let off = callers.iter().any(|caller| watch.call(*caller, Fault, cpu).is_some());
        prop_assert!(off);
    }

    /// Deadlines that are exceeded because the machine is busy are not counted.
    #[test]
    fn a_busy_machine_switches_nothing_off(
        calls in vec((0_usize..40, 0_u64..1_000, 0_u64..1_000), 1..600)
    ) {
        let mut watch = Watch::new();
        for (caller, cpu, passes) in calls {
            watch.now += Duration::from_millis(passes);
            prop_assert_eq!(watch.call(caller, Deadline, cpu), None);
            prop_assert!(watch.breaker.plugins.is_empty());
        }
    }

    /// The evidence of each switch-off meets all bounds.
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

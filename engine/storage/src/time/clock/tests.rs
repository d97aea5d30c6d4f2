//! Clocks of files: wall clocks that are set, reboots, and marks.

use std::sync::Mutex;

use super::*;

/// A moment of 2023, in milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

/// The clocks of a machine, which a test controls.
#[derive(Clone)]
struct Machine {
    boot: String,
    reading: Arc<Mutex<Reading>>,
}

impl Machine {
    fn new() -> Self {
        let reading = Reading {
            wall: Duration::from_millis(NOW_MS),
            elapsed: HOUR,
        };
        Self {
            boot: "one".into(),
            reading: Arc::new(Mutex::new(reading)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut self.reading.lock().expect("it is whole"));
    }

    fn pass(&self, span: Duration) {
        self.change(|reading| {
            reading.wall += span;
            reading.elapsed += span;
        });
    }

    /// Reboots the machine after a while.
    fn booted(&self, after: Duration) -> Self {
        let mut reading = *self.reading.lock().expect("it is whole");
        reading.wall += after;
        reading.elapsed = SECOND;
        Self {
            boot: format!("{} more", self.boot),
            reading: Arc::new(Mutex::new(reading)),
        }
    }

    fn source(&self) -> TimeSource {
        let reading = Arc::clone(&self.reading);
        TimeSource::new(&self.boot, move || *reading.lock().expect("it is whole"))
    }

    fn beginning(&self, mark: Option<&Mark>, newest: Timestamp) -> Beginning {
        Beginning::new(&self.source(), mark, newest)
    }
}

fn ms(span: Duration) -> u64 {
    millis(span)
}

#[test]
fn a_difference_is_made_up_for_at_its_rate_and_no_further() {
    for ahead in [true, false] {
        let machine = Machine::new();
        let clock = Clock::begin(machine.source());
        machine.change(|reading| {
            let wall = &mut reading.wall;
            *wall = if ahead {
                *wall + SECOND
            } else {
                wall.saturating_sub(SECOND)
            };
        });
        // The first reading starts the correction: 500 millionths of 1,000 s are half a second.
        machine.pass(SECOND);
        assert_eq!(clock.now(), Timestamp(NOW_MS + 1_000));
        machine.pass(1_000 * SECOND);
        let half = NOW_MS + 1_001_000;
        let half = if ahead { half + 500 } else { half - 500 };
        assert_eq!(clock.now(), Timestamp(half));
        assert!(clock.view().followed);
        // The correction is complete long since, and stops there.
        machine.pass(HOUR);
        assert_eq!(clock.view().difference_ms, 0);
    }
}

#[test]
fn a_clock_is_followed_up_to_a_bound_and_reported_beyond() {
    let seconds = CLOCK_FOLLOWED_MAX.as_millis();
    for (more_ms, followed) in [(0, true), (1, false)] {
        let machine = Machine::new();
        let clock = Clock::begin(machine.source());
        let set = Duration::from_millis(u64::try_from(seconds).expect("it is small") + more_ms);
        machine.change(|reading| reading.wall += set);
        machine.pass(SECOND);
        let view = clock.view();
        assert_eq!(view.followed, followed);
        assert_eq!(
            view.difference_ms,
            i64::try_from(set.as_millis()).expect("small")
        );
        machine.pass(HOUR);
        let passed = NOW_MS + ms(SECOND) + ms(HOUR);
        let kept = clock.now().0;
        if followed {
            assert_eq!(kept, passed + ms(HOUR) / 2_000);
        } else {
            assert_eq!(kept, passed);
        }
    }
}

#[test]
fn each_step_is_reported_once_and_so_is_its_end() {
    let machine = Machine::new();
    let start = machine.source().read();
    let mut kept = KeptTime::new(start.wall, start);
    let mut found = Vec::new();
    let mut look = |machine: &Machine| {
        for _ in 0..5 {
            machine.pass(2 * SECOND);
            let finding = kept.look(machine.source().read());
            found.extend(finding.map(|finding| match finding {
                ClockFinding::Away(view) => view.difference_ms,
                ClockFinding::Back(_) => 0,
            }));
        }
    };
    look(&machine);
    machine.change(|reading| reading.wall += YEAR);
    look(&machine);
    machine.change(|reading| reading.wall += HOUR);
    look(&machine);
    machine.change(|reading| reading.wall -= YEAR + HOUR);
    look(&machine);
    let year = i64::try_from(YEAR.as_millis()).expect("small");
    assert_eq!(found, [year, year + 3_600_000, 0]);
}

#[test]
fn time_passes_while_a_machine_is_suspended() {
    let machine = Machine::new();
    let clock = Clock::begin(machine.source());
    machine.pass(8 * HOUR);
    assert_eq!(clock.now(), Timestamp(NOW_MS + ms(8 * HOUR)));
    assert_eq!(clock.view().difference_ms, 0);
}

#[test]
fn a_start_on_the_same_boot_knows_how_long_it_was() {
    let machine = Machine::new();
    let mark = Clock::begin(machine.source()).mark();
    machine.pass(90 * 24 * HOUR);
    let beginning = machine.beginning(Some(&mark), mark.kept);
    let clock = beginning.clock().expect("the clocks agree");
    assert_eq!(clock.now(), Timestamp(NOW_MS + ms(90 * 24 * HOUR)));
    // A change of the wall clock since the mark is noticed.
    for set in [2 * HOUR, 24 * HOUR] {
        for ahead in [true, false] {
            machine.change(|reading| {
                let wall = &mut reading.wall;
                *wall = if ahead {
                    *wall + set
                } else {
                    wall.saturating_sub(set)
                };
            });
            let beginning = machine.beginning(Some(&mark), mark.kept);
            let refused = beginning.clock().expect_err("it was set").view;
            let difference = i64::try_from(set.as_millis()).expect("small");
            let difference = if ahead { difference } else { -difference };
            assert_eq!(refused.difference_ms, difference);
            assert_eq!(beginning.known(), clock.now());
            machine.change(|reading| {
                let wall = &mut reading.wall;
                *wall = if ahead {
                    wall.saturating_sub(set)
                } else {
                    *wall + set
                };
            });
        }
    }
}

#[test]
fn a_start_on_another_boot_accepts_the_time_of_the_machine_within_bounds() {
    let machine = Machine::new();
    let mark = Clock::begin(machine.source()).mark();
    let kept = |machine: &Machine| {
        let beginning = machine.beginning(Some(&mark), mark.kept);
        beginning.clock().map(|clock| clock.now().0 - NOW_MS)
    };
    assert_eq!(kept(&machine.booted(HOUR)), Ok(ms(HOUR)));
    assert_eq!(kept(&machine.booted(OUTAGE_MAX)), Ok(ms(OUTAGE_MAX)));
    let after = machine.booted(OUTAGE_MAX + Duration::from_millis(1));
    let refused = kept(&after).expect_err("longer than any outage");
    let message = refused.to_string();
    assert!(
        message.contains("31 days ahead of the time of the file"),
        "{message}"
    );
    assert!(message.contains("bursar clock set"), "{message}");
    // A clock that is behind by no more than the bound is accepted.
    let slow = machine.booted(Duration::ZERO);
    slow.change(|reading| reading.wall -= CLOCK_FOLLOWED_MAX);
    assert_eq!(kept(&slow), Ok(0));
    slow.change(|reading| reading.wall -= Duration::from_millis(1));
    let refused = kept(&slow).expect_err("it is behind");
    assert!(refused.to_string().contains("60 s behind"), "{refused}");
}

#[test]
fn a_file_that_knows_nothing_of_time_takes_what_the_machine_shows() {
    let beginning = Machine::new().beginning(None, Timestamp(0));
    assert_eq!(beginning.clock().expect("a clock").now(), Timestamp(NOW_MS));
    assert_eq!(beginning.outage(Timestamp(NOW_MS), SECOND), None);
}

#[test]
fn an_outage_is_longer_than_a_restart() {
    let machine = Machine::new();
    let mark = Clock::begin(machine.source()).mark();
    let least = 20 * SECOND;
    let outage = |until: u64| {
        let beginning = machine.beginning(Some(&mark), mark.kept);
        beginning.outage(Timestamp(until), least)
    };
    let until = NOW_MS + ms(least);
    assert_eq!(outage(until), None);
    let from = Timestamp(NOW_MS);
    let until = Timestamp(until + 1);
    assert_eq!(outage(until.0), Some(Outage { from, until }));
}

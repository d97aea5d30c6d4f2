//! A machine in which time is a number, with lines that keep it busy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Name = (u8, u8);
type Queue = FairQueue<u8, u8, Duration>;

/// Workers before a queue, at some moment.
struct Machine {
    queue: Queue,
    workers: usize,
    now: Duration,
    running: Vec<Run>,
    /// Worker time that each line has had.
    had: BTreeMap<Name, Duration>,
    starts: Vec<(Duration, Name)>,
}

struct Run {
    started: Started<u8, u8>,
    began: Duration,
    cost: Duration,
}

fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Machine {
    fn new(workers: usize) -> Self {
        Self {
            queue: Queue::new(workers),
            workers,
            now: Duration::ZERO,
            running: Vec::new(),
            had: BTreeMap::new(),
            starts: Vec::new(),
        }
    }

    fn push(&mut self, line: Name, cost: Duration) {
        self.queue.push(line.0, line.1, cost);
    }

    /// Starts what may start now.
    fn start(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        while self.running.len() < self.workers {
            let Some((started, cost)) = self.queue.start(self.now) else {
                break;
            };
            let name = (started.economy, started.plugin);
            self.starts.push((self.now, name));
            names.push(name);
            self.running.push(Run {
                started,
                began: self.now,
                cost,
            });
        }
        names
    }

    /// Goes to the end of the job that ends next.
    fn end(&mut self) -> Option<Name> {
        let ends = self.running.iter().enumerate();
        let (next, _) = ends.min_by_key(|(_, run)| run.began + run.cost)?;
        let run = self.running.swap_remove(next);
        self.now = self.now.max(run.began + run.cost);
        let name = (run.started.economy, run.started.plugin);
        *self.had.entry(name).or_default() += run.cost;
        let took = Took {
            held: run.cost,
            cpu: run.cost,
        };
        self.queue.end(run.started, took, self.now);
        Some(name)
    }

    /// Keeps these lines waiting until some moment, each with jobs of its cost.
    fn keep_busy(&mut self, lines: &BTreeMap<Name, Duration>, until: Duration) {
        for (line, cost) in lines {
            let waiting = self.queue.economies.get(&line.0);
            let waiting = waiting.and_then(|economy| economy.plugins.get(&line.1));
            let waiting = waiting.map_or(0, |line| line.usage.waiting);
            for _ in waiting..self.workers {
                self.push(*line, *cost);
            }
        }
        while self.now < until {
            loop {
                let started = self.start();
                if started.is_empty() {
                    break;
                }
                for line in started {
                    self.push(line, lines[&line]);
                }
            }
            self.end();
        }
    }

    /// Worker time that an economy, or a plugin of it, has had, with what runs.
    fn had(&self, of: impl Fn(Name) -> bool) -> Duration {
        let ended = self.had.iter().filter(|(name, _)| of(**name));
        let ended: Duration = ended.map(|(_, had)| *had).sum();
        let running = self.running.iter();
        let running = running.filter(|run| of((run.started.economy, run.started.plugin)));
        let running: Duration = running.map(|run| self.now.saturating_sub(run.began)).sum();
        ended + running
    }
}

/// A few economies with a few plugins each, and what a job of each plugin costs.
fn lines(cost: std::ops::Range<u64>) -> impl Strategy<Value = BTreeMap<Name, Duration>> {
    vec(vec(cost, 1..4), 2..5).prop_map(|economies| {
        let economies = (0..).zip(economies);
        economies
            .flat_map(|(economy, costs)| {
                let plugins = (0..).zip(costs);
                plugins.map(move |(plugin, cost)| ((economy, plugin), micros(cost)))
            })
            .collect()
    })
}

/// The most by which two lines may differ that were never without a job: what each of them may have running,
/// of which only an estimate is charged yet.
fn most_apart(workers: usize, first: Duration, second: Duration) -> Duration {
    let workers = u32::try_from(workers).unwrap();
    (first.max(ESTIMATE) + second.max(ESTIMATE)) * workers
}

fn check_fair(machine: &Machine, lines: &BTreeMap<Name, Duration>) -> Result<(), TestCaseError> {
    let dearest = |economy: u8| {
        let costs = lines.iter().filter(|(name, _)| name.0 == economy);
        costs.map(|(_, cost)| *cost).max().unwrap()
    };
    for (one, cost) in lines {
        for (other, other_cost) in lines {
            let (had, other_had, most) = if one.0 == other.0 {
                let most = most_apart(machine.workers, *cost, *other_cost);
                let had = machine.had(|name| name == *one);
                (had, machine.had(|name| name == *other), most)
            } else {
                let most = most_apart(machine.workers, dearest(one.0), dearest(other.0));
                let had = machine.had(|name| name.0 == one.0);
                (had, machine.had(|name| name.0 == other.0), most)
            };
            let apart = had.abs_diff(other_had);
            prop_assert!(
                apart <= most,
                "{one:?} has had {had:?}, {other:?} {other_had:?}: {apart:?} of {most:?}"
            );
        }
    }
    Ok(())
}

proptest! {
    /// Economies get the same worker time whatever their jobs cost, and so do the plugins in each.
    #[test]
    fn lines_that_always_wait_get_the_same_time(
        lines in lines(1..2_000),
        workers in 1_usize..5,
        until in 1_u64..400,
    ) {
        let mut machine = Machine::new(workers);
        machine.keep_busy(&lines, millis(until));
        check_fair(&machine, &lines)?;
    }

    /// Long jobs share the workers that are left to them, and none waits for ever.
    #[test]
    fn nothing_starves(lines in lines(1_000..300_000), workers in 1_usize..5) {
        let mut machine = Machine::new(workers);
        let until = Duration::from_secs(10);
        machine.keep_busy(&lines, until);
        let dearest = *lines.values().max().unwrap();
        let rounds = u32::try_from(2 * lines.len()).unwrap();
        for line in lines.keys() {
            let starts = machine.starts.iter().filter(|(_, name)| name == line);
            let starts = starts.map(|(at, _)| *at).chain([until]);
            let mut before = Duration::ZERO;
            for at in starts {
                let waited = at.saturating_sub(before);
                prop_assert!(waited <= 2 * rounds * dearest, "{line:?} has waited {waited:?}");
                before = at;
            }
        }
    }

    /// A plugin that was away has no more than one that was there, from then on.
    #[test]
    fn idleness_earns_nothing(
        lines in lines(1..2_000),
        workers in 1_usize..5,
        away in 1_u64..200,
        until in 1_u64..200,
    ) {
        let mut machine = Machine::new(workers);
        let mut first = lines.clone();
        first.retain(|(economy, _), _| *economy > 0);
        machine.keep_busy(&first, millis(away));
        // All that runs has ended, so that all are counted from the same moment.
        while machine.end().is_some() {}
        machine.had.clear();
        let returned = machine.now;
        machine.keep_busy(&lines, returned + millis(until));
        let economy = |wanted: u8| machine.had(|name| name.0 == wanted);
        let dearest = *lines.values().max().unwrap();
        // What the others were charged too little by the time that it returned counts as well.
        let most = 2 * most_apart(workers, dearest, dearest);
        for other in first.keys() {
            let (own, other) = (economy(0), economy(other.0));
            prop_assert!(own <= other + most, "{own:?} against {other:?}");
            prop_assert!(other <= own + most, "{own:?} against {other:?}");
        }
    }

    /// Long jobs of many plugins of an economy do not keep those of another one waiting.
    #[test]
    fn an_economy_with_long_jobs_leaves_a_worker_free(
        mut lines in lines(100_000..200_000),
        workers in 2_usize..5,
        until in 1_u64..20,
    ) {
        lines.retain(|(economy, _), _| *economy == 0);
        let mut machine = Machine::new(workers);
        // Of each line one job, so that it is known.
        for (line, cost) in &lines {
            machine.push(*line, *cost);
        }
        loop {
            machine.start();
            if machine.end().is_none() {
                break;
            }
        }
        machine.starts.clear();
        machine.keep_busy(&lines, machine.now + Duration::from_secs(until));
        machine.start();
        prop_assert!(machine.running.len() < workers);
        machine.push((100, 0), micros(100));
        prop_assert_eq!(machine.start(), [(100, 0)]);
    }

    /// Everything put in comes out once, in any order, and nothing is left of it.
    #[test]
    fn nothing_is_lost(
        jobs in vec(((0_u8..4, 0_u8..3), 1_u64..50_000, any::<bool>()), 1..200),
        workers in 1_usize..5,
    ) {
        let mut machine = Machine::new(workers);
        let mut expected: BTreeMap<Name, Duration> = BTreeMap::new();
        for (line, cost, taken_back) in &jobs {
            let place = machine.queue.push(line.0, line.1, micros(*cost));
            if *taken_back {
                prop_assert_eq!(machine.queue.take_back(&place), Some(micros(*cost)));
                prop_assert_eq!(machine.queue.take_back(&place), None);
            } else {
                *expected.entry(*line).or_default() += micros(*cost);
            }
        }
        loop {
            machine.start();
            if machine.end().is_none() {
                break;
            }
        }
        prop_assert_eq!(machine.had, expected);
        prop_assert!(machine.queue.economies.is_empty());
        prop_assert_eq!(machine.queue.waiting(), 0);
    }
}

#[test]
fn an_economy_takes_all_workers_alone_and_half_while_another_waits() {
    let mut machine = Machine::new(4);
    for _ in 0..20 {
        machine.push((0, 0), micros(500));
    }
    assert_eq!(machine.start(), [(0, 0); 4]);
    for _ in 0..20 {
        machine.push((1, 0), micros(500));
    }
    machine.end();
    assert_eq!(machine.start(), [(1, 0)]);
    for _ in 0..16 {
        machine.end();
        machine.start();
        let of_first = machine.running.iter();
        let of_first = of_first.filter(|run| run.started.economy == 0).count();
        assert!(
            machine.now < micros(1_000) || of_first == 2,
            "{of_first} of 4"
        );
    }
}

#[test]
fn one_that_leaves_for_a_moment_does_not_begin_anew() {
    let mut machine = Machine::new(1);
    // One asks again only when it has its answer, so it is away each time that something starts.
    let (greedy, patient) = ((0, 0), (1, 0));
    machine.push(greedy, micros(1_900));
    for _ in 0..2_000 {
        machine.push(patient, micros(100));
    }
    while machine.now < millis(100) {
        machine.start();
        if machine.end() == Some(greedy) {
            machine.start();
            machine.push(greedy, micros(1_900));
        }
    }
    let (greedy, patient) = (machine.had[&greedy], machine.had[&patient]);
    assert!(
        greedy.abs_diff(patient) <= micros(4_000),
        "{greedy:?} against {patient:?}"
    );
}

#[test]
fn now_and_then_a_long_job_holds_all_workers_for_little_of_the_time() {
    let mut machine = Machine::new(2);
    let (mut held, mut number) = (Duration::ZERO, 0);
    // There are always enough of each.
    let mut push = |machine: &mut Machine| {
        number += 1;
        let long = number % 50 == 0;
        machine.push((0, 0), if long { millis(500) } else { micros(100) });
    };
    for _ in 0..4 {
        push(&mut machine);
    }
    while machine.now < Duration::from_secs(1_000) {
        for _ in machine.start() {
            push(&mut machine);
        }
        let before = machine.now;
        let all = machine
            .running
            .iter()
            .filter(|run| run.cost == millis(500))
            .count()
            == 2;
        machine.end();
        if all {
            held += machine.now.saturating_sub(before);
        }
    }
    assert!(held < Duration::from_secs(20), "{held:?} of 1,000 s");
}

#[test]
fn lines_without_jobs_are_forgotten() {
    let mut queue: FairQueue<usize, u8, ()> = FairQueue::new(2);
    let took = |held| Took { held, cpu: held };
    queue.push(usize::MAX, 0, ());
    let (forever, ()) = queue.start(Duration::ZERO).unwrap();
    for number in 0..2 * REMEMBERED_MAX {
        queue.push(number, 0, ());
        let now = millis(u64::try_from(number).unwrap());
        let (started, ()) = queue.start(now).unwrap();
        // Each is ahead of all that come after it.
        let held = Duration::from_secs(100_000).saturating_sub(now);
        queue.end(
            started,
            Took {
                held,
                cpu: micros(1),
            },
            now,
        );
        assert!(queue.economies.len() <= AHEAD_MAX + 1);
        assert!(queue.paces.len() <= REMEMBERED_MAX);
    }
    queue.end(forever, took(millis(1)), Duration::from_secs(100));
    assert!(queue.economies.is_empty());
    assert!(queue.paces.len() >= REMEMBERED_MAX / 2);
}

#[test]
fn as_many_lines_as_may_be_remembered_are() {
    let mut queue: FairQueue<usize, u8, ()> = FairQueue::new(1);
    let mut run = |number: usize| {
        queue.push(number, 0, ());
        let now = millis(u64::try_from(number).unwrap());
        let (started, ()) = queue.start(now).unwrap();
        let (held, cpu) = (micros(1), micros(1));
        queue.end(started, Took { held, cpu }, now);
        queue.paces.len()
    };
    for number in 0..REMEMBERED_MAX {
        assert_eq!(run(number), number + 1);
    }
    assert!(run(REMEMBERED_MAX) < REMEMBERED_MAX, "one more makes room");
}

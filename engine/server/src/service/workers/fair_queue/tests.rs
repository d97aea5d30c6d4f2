//! Tests of the fair queue, with simulated workers and a simulated time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An economy and a plugin in it.
type Name = (u8, u8);
type TestQueue = FairQueue<u8, u8, Duration>;

/// A queue with simulated workers and a simulated time.
struct Simulation {
    queue: TestQueue,
    workers: usize,
    now: Duration,
    running: Vec<SimulatedJob>,
    /// The worker time of each plugin.
    used: BTreeMap<Name, Duration>,
    starts: Vec<(Duration, Name)>,
}

struct SimulatedJob {
    ticket: RunningTicket<u8, u8>,
    began: Duration,
    cost: Duration,
}

fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Simulation {
    fn new(workers: usize) -> Self {
        Self {
            queue: TestQueue::new(workers),
            workers,
            now: Duration::ZERO,
            running: Vec::new(),
            used: BTreeMap::new(),
            starts: Vec::new(),
        }
    }

    fn push(&mut self, name: Name, cost: Duration) {
        self.queue.push(name.0, name.1, cost);
    }

    /// Starts all jobs that may start now.
    fn start(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        while self.running.len() < self.workers {
            let Some((ticket, cost)) = self.queue.start(self.now) else {
                break;
            };
            let name = (ticket.economy, ticket.plugin);
            self.starts.push((self.now, name));
            names.push(name);
            self.running.push(SimulatedJob {
                ticket,
                began: self.now,
                cost,
            });
        }
        names
    }

    /// Advances the time to the next end of a job, and ends the job.
    fn end(&mut self) -> Option<Name> {
        let ends = self.running.iter().enumerate();
        let (next, _) = ends.min_by_key(|(_, job)| job.began + job.cost)?;
        let job = self.running.swap_remove(next);
        self.now = self.now.max(job.began + job.cost);
        let name = (job.ticket.economy, job.ticket.plugin);
        *self.used.entry(name).or_default() += job.cost;
        let times = JobTimes {
            held: job.cost,
            cpu: job.cost,
        };
        self.queue.end(job.ticket, times, self.now);
        Some(name)
    }

    /// Keeps jobs of all plugins waiting until a time, each with the cost of its plugin.
    fn keep_busy(&mut self, costs: &BTreeMap<Name, Duration>, until: Duration) {
        for (name, cost) in costs {
            let waiting = self.queue.economies.get(&name.0);
            let waiting = waiting.and_then(|economy| economy.plugins.get(&name.1));
            let waiting = waiting.map_or(0, |queue| queue.usage.waiting);
            for _ in waiting..self.workers {
                self.push(*name, *cost);
            }
        }
        while self.now < until {
            loop {
                let started = self.start();
                if started.is_empty() {
                    break;
                }
                for name in started {
                    self.push(name, costs[&name]);
                }
            }
            self.end();
        }
    }

    /// Returns the worker time of all plugins for which `of` is true, including running jobs.
    fn used(&self, of: impl Fn(Name) -> bool) -> Duration {
        let ended = self.used.iter().filter(|(name, _)| of(**name));
        let ended: Duration = ended.map(|(_, used)| *used).sum();
        let running = self.running.iter();
        let running = running.filter(|job| of((job.ticket.economy, job.ticket.plugin)));
        let running: Duration = running.map(|job| self.now.saturating_sub(job.began)).sum();
        ended + running
    }
}

/// Returns a few economies with a few plugins each, and the cost of each plugin's jobs.
fn plugin_costs(cost: std::ops::Range<u64>) -> impl Strategy<Value = BTreeMap<Name, Duration>> {
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

/// Returns the largest difference of worker time between two plugins or economies that always had a waiting job: the
/// running jobs of each, which are charged only an estimate.
fn difference_max(workers: usize, first: Duration, second: Duration) -> Duration {
    let workers = u32::try_from(workers).unwrap();
    (first.max(ESTIMATE) + second.max(ESTIMATE)) * workers
}

fn check_fair(
    simulation: &Simulation,
    plugins: &BTreeMap<Name, Duration>,
) -> Result<(), TestCaseError> {
    let cost_max = |economy: u8| {
        let costs = plugins.iter().filter(|(name, _)| name.0 == economy);
        costs.map(|(_, cost)| *cost).max().unwrap()
    };
    for (one, cost) in plugins {
        for (other, other_cost) in plugins {
            let (used, other_used, most) = if one.0 == other.0 {
                let most = difference_max(simulation.workers, *cost, *other_cost);
                let used = simulation.used(|name| name == *one);
                (used, simulation.used(|name| name == *other), most)
            } else {
                let most = difference_max(simulation.workers, cost_max(one.0), cost_max(other.0));
                let used = simulation.used(|name| name.0 == one.0);
                (used, simulation.used(|name| name.0 == other.0), most)
            };
            let difference = used.abs_diff(other_used);
            prop_assert!(
                difference <= most,
                "{one:?} has used {used:?}, {other:?} {other_used:?}: {difference:?} of {most:?}"
            );
        }
    }
    Ok(())
}

proptest! {
    /// Economies get equal worker time for jobs of any cost, and so do the plugins of each economy.
    #[test]
    fn busy_plugins_get_equal_time(
        costs in plugin_costs(1..2_000),
        workers in 1_usize..5,
        until in 1_u64..400,
    ) {
        let mut simulation = Simulation::new(workers);
        simulation.keep_busy(&costs, millis(until));
        check_fair(&simulation, &costs)?;
    }

    /// Long jobs share the workers that they may use, and none waits without end.
    #[test]
    fn no_queue_starves(costs in plugin_costs(1_000..300_000), workers in 1_usize..5) {
        let mut simulation = Simulation::new(workers);
        let until = Duration::from_secs(10);
        simulation.keep_busy(&costs, until);
        let cost_max = *costs.values().max().unwrap();
        let rounds = u32::try_from(2 * costs.len()).unwrap();
        for plugin in costs.keys() {
            let starts = simulation.starts.iter().filter(|(_, name)| name == plugin);
            let starts = starts.map(|(at, _)| *at).chain([until]);
            let mut before = Duration::ZERO;
            for at in starts {
                let waited = at.saturating_sub(before);
                prop_assert!(waited <= 2 * rounds * cost_max, "{plugin:?} has waited {waited:?}");
                before = at;
            }
        }
    }

    /// An economy that returns after an idle time gets no more than the others from then on.
    #[test]
    fn an_idle_queue_gains_no_advantage(
        costs in plugin_costs(1..2_000),
        workers in 1_usize..5,
        away in 1_u64..200,
        until in 1_u64..200,
    ) {
        let mut simulation = Simulation::new(workers);
        let mut first = costs.clone();
        first.retain(|(economy, _), _| *economy > 0);
        simulation.keep_busy(&first, millis(away));
        // All running jobs end, so that all economies are counted from the same time.
        while simulation.end().is_some() {}
        simulation.used.clear();
        let returned = simulation.now;
        simulation.keep_busy(&costs, returned + millis(until));
        let economy = |id: u8| simulation.used(|name| name.0 == id);
        let cost_max = *costs.values().max().unwrap();
        // The others may have been charged too little when it returned, which doubles the difference.
        let most = 2 * difference_max(workers, cost_max, cost_max);
        for other in first.keys() {
            let own = economy(0);
            let other = economy(other.0);
            prop_assert!(own <= other + most, "{own:?} against {other:?}");
            prop_assert!(other <= own + most, "{own:?} against {other:?}");
        }
    }

    /// Long jobs of several plugins of an economy do not delay jobs of another one.
    #[test]
    fn an_economy_with_long_jobs_leaves_a_worker_free(
        mut costs in plugin_costs(100_000..200_000),
        workers in 2_usize..5,
        until in 1_u64..20,
    ) {
        costs.retain(|(economy, _), _| *economy == 0);
        let mut simulation = Simulation::new(workers);
        // One job of each plugin, so that the durations are known.
        for (name, cost) in &costs {
            simulation.push(*name, *cost);
        }
        loop {
            simulation.start();
            if simulation.end().is_none() {
                break;
            }
        }
        simulation.starts.clear();
        simulation.keep_busy(&costs, simulation.now + Duration::from_secs(until));
        simulation.start();
        prop_assert!(simulation.running.len() < workers);
        simulation.push((100, 0), micros(100));
        prop_assert_eq!(simulation.start(), [(100, 0)]);
    }

    /// Each job starts once or is cancelled, and nothing is left in the queue.
    #[test]
    fn no_job_is_lost(
        jobs in vec(((0_u8..4, 0_u8..3), 1_u64..50_000, any::<bool>()), 1..200),
        workers in 1_usize..5,
    ) {
        let mut simulation = Simulation::new(workers);
        let mut expected: BTreeMap<Name, Duration> = BTreeMap::new();
        for (name, cost, cancelled) in &jobs {
            let ticket = simulation.queue.push(name.0, name.1, micros(*cost));
            if *cancelled {
                prop_assert_eq!(simulation.queue.cancel(&ticket), Some(micros(*cost)));
                prop_assert_eq!(simulation.queue.cancel(&ticket), None);
            } else {
                *expected.entry(*name).or_default() += micros(*cost);
            }
        }
        loop {
            simulation.start();
            if simulation.end().is_none() {
                break;
            }
        }
        prop_assert_eq!(simulation.used, expected);
        prop_assert!(simulation.queue.economies.is_empty());
        prop_assert_eq!(simulation.queue.waiting(), 0);
    }
}

#[test]
fn an_economy_takes_all_workers_alone_and_half_while_another_waits() {
    let mut simulation = Simulation::new(4);
    for _ in 0..20 {
        simulation.push((0, 0), micros(500));
    }
    assert_eq!(simulation.start(), [(0, 0); 4]);
    for _ in 0..20 {
        simulation.push((1, 0), micros(500));
    }
    simulation.end();
    assert_eq!(simulation.start(), [(1, 0)]);
    for _ in 0..16 {
        simulation.end();
        simulation.start();
        let of_first = simulation.running.iter();
        let of_first = of_first.filter(|job| job.ticket.economy == 0).count();
        assert!(
            simulation.now < micros(1_000) || of_first == 2,
            "{of_first} of 4"
        );
    }
}

#[test]
fn an_economy_that_is_idle_for_a_moment_keeps_its_virtual_time() {
    let mut simulation = Simulation::new(1);
    // The greedy economy sends its next job only after its last one has ended, so it is idle at each start.
    let greedy = (0, 0);
    let patient = (1, 0);
    simulation.push(greedy, micros(1_900));
    for _ in 0..2_000 {
        simulation.push(patient, micros(100));
    }
    while simulation.now < millis(100) {
        simulation.start();
        if simulation.end() == Some(greedy) {
            simulation.start();
            simulation.push(greedy, micros(1_900));
        }
    }
    let greedy = simulation.used[&greedy];
    let patient = simulation.used[&patient];
    assert!(
        greedy.abs_diff(patient) <= micros(4_000),
        "{greedy:?} against {patient:?}"
    );
}

#[test]
fn long_jobs_occupy_all_workers_for_a_small_part_of_the_time() {
    let mut simulation = Simulation::new(2);
    let mut held = Duration::ZERO;
    let mut number = 0;
    // Jobs of both kinds are always waiting.
    let mut push = |simulation: &mut Simulation| {
        number += 1;
        let long = number % 50 == 0;
        simulation.push((0, 0), if long { millis(500) } else { micros(100) });
    };
    for _ in 0..4 {
        push(&mut simulation);
    }
    while simulation.now < Duration::from_secs(1_000) {
        for _ in simulation.start() {
            push(&mut simulation);
        }
        let before = simulation.now;
        let all = simulation
            .running
            .iter()
            .filter(|job| job.cost == millis(500))
            .count()
            == 2;
        simulation.end();
        if all {
            held += simulation.now.saturating_sub(before);
        }
    }
    assert!(held < Duration::from_secs(20), "{held:?} of 1,000 s");
}

#[test]
fn queues_without_jobs_are_removed() {
    let mut queue: FairQueue<usize, u8, ()> = FairQueue::new(2);
    let times = |held| JobTimes { held, cpu: held };
    queue.push(usize::MAX, 0, ());
    let (forever, ()) = queue.start(Duration::ZERO).unwrap();
    for number in 0..2 * REMEMBERED_MAX {
        queue.push(number, 0, ());
        let now = millis(u64::try_from(number).unwrap());
        let (ticket, ()) = queue.start(now).unwrap();
        // Each economy is ahead of all later ones.
        let held = Duration::from_secs(100_000).saturating_sub(now);
        queue.end(
            ticket,
            JobTimes {
                held,
                cpu: micros(1),
            },
            now,
        );
        assert!(queue.economies.len() <= AHEAD_MAX + 1);
        assert!(queue.durations.len() <= REMEMBERED_MAX);
    }
    queue.end(forever, times(millis(1)), Duration::from_secs(100));
    assert!(queue.economies.is_empty());
    assert!(queue.durations.len() >= REMEMBERED_MAX / 2);
}

#[test]
fn durations_are_stored_up_to_their_limit() {
    let mut queue: FairQueue<usize, u8, ()> = FairQueue::new(1);
    let mut run = |number: usize| {
        queue.push(number, 0, ());
        let now = millis(u64::try_from(number).unwrap());
        let (ticket, ()) = queue.start(now).unwrap();
        let times = JobTimes {
            held: micros(1),
            cpu: micros(1),
        };
        queue.end(ticket, times, now);
        queue.durations.len()
    };
    for number in 0..REMEMBERED_MAX {
        assert_eq!(run(number), number + 1);
    }
    assert!(
        run(REMEMBERED_MAX) < REMEMBERED_MAX,
        "half of them are removed"
    );
}

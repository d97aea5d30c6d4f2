//! The queue of jobs for the workers: start-time fair queueing on two levels (Goyal, Vin and Cheng, "Start-time Fair
//! Queueing: A Scheduling Algorithm for Integrated Services Packet Switching Networks", SIGCOMM 1996).
//!
//! Each economy has a *virtual time*, the worker time that its jobs have taken, and so has each plugin within its
//! economy. The next job is the oldest one of the plugin with the least virtual time, in the economy with the least
//! virtual time. An economy or plugin without jobs gains no advantage: when it returns, its virtual time is at least that
//! of the job that started last.
//!
//! Jobs are charged worker time, not processor time: a worker is unavailable to others also while its job waits for the
//! file or for a component to load. A job is charged an estimate when it starts and the difference when it ends. Without
//! the estimate several free workers would all take jobs of the plugin that has not been charged yet.
//!
//! Jobs cannot be interrupted, so two rules keep workers free for later jobs. An economy with half of the workers starts
//! no further job while an economy with fewer could start one. And an economy with a *long* job starts another long job
//! only if a worker without a long job is left. So with two workers, one economy never makes another one wait for the end
//! of a long job. (A worker that is reserved for short jobs would be no solution: an economy with both kinds of jobs could
//! starve its long ones.)
//!
//! Time is a value here; there is no clock and no thread.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// The processor time above which a job is long. A purchase takes less than a tenth of it.
const LONG: Duration = Duration::from_millis(2);

/// The worker time after which a running job counts as long even if a short one was expected. It is more than [`LONG`],
/// because a short job may have to wait for a processor on a busy machine.
const LONG_RUN: Duration = Duration::from_millis(20);

/// The time for which jobs of a plugin count as long after a long one, as a multiple of its processor time. So a plugin
/// with short and long jobs delays short jobs of others for at most a hundredth of the time.
const LONG_FOR: u32 = 100;

/// The estimate of the worker time of a job if its plugin is unknown.
const ESTIMATE: Duration = Duration::from_millis(1);

/// The most plugins whose durations of jobs are stored.
const REMEMBERED_MAX: usize = 4_096;

/// The most economies without a job whose virtual time is stored because it is ahead of the others.
const AHEAD_MAX: usize = 256;

/// The waiting jobs, and the accounts of running ones.
pub(super) struct FairQueue<E, P, J> {
    workers: usize,
    economies: BTreeMap<E, EconomyQueue<P, J>>,
    /// The virtual time of this level: that of the economy that started a job last, at the start of the job.
    clock: Duration,
    running: Vec<RunningJob<E>>,
    waiting: usize,
    durations: HashMap<(E, P), JobDurations>,
    /// The number of pushed and started jobs, for an order of both.
    counter: u64,
}

/// The usage of an economy, or of a plugin within its economy.
#[derive(Clone, Copy, Default, Debug)]
struct VirtualTime {
    /// The worker time that was charged: the virtual time.
    charged: Duration,
    waiting: usize,
    running: usize,
    /// The number of its last start.
    turn: u64,
}

/// The waiting jobs of an economy.
struct EconomyQueue<P, J> {
    usage: VirtualTime,
    /// The virtual time of its plugins.
    clock: Duration,
    plugins: BTreeMap<P, PluginQueue<J>>,
}

/// The waiting jobs of a plugin, in order of arrival.
struct PluginQueue<J> {
    usage: VirtualTime,
    jobs: VecDeque<(u64, J)>,
}

/// The durations of a plugin's jobs.
#[derive(Clone, Copy, Default, Debug)]
struct JobDurations {
    /// The exponential moving average of the worker time of a job.
    mean: Duration,
    /// The time until which its jobs count as long.
    long_until: Duration,
    /// The end of its last job.
    ended: Duration,
}

/// A running job.
struct RunningJob<E> {
    economy: E,
    number: u64,
    long: bool,
    began: Duration,
}

impl<E> RunningJob<E> {
    /// Returns true if the job was expected to be long, or runs longer than a short one may.
    fn is_long(&self, now: Duration) -> bool {
        self.long || now.saturating_sub(self.began) > LONG_RUN
    }
}

/// A ticket by which a waiting job can be cancelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct QueueTicket<E, P> {
    economy: E,
    plugin: P,
    number: u64,
}

/// A started job. It must be passed to [`FairQueue::end`], which charges its worker time.
#[derive(Debug)]
#[must_use]
pub(super) struct RunningTicket<E, P> {
    economy: E,
    plugin: P,
    number: u64,
    estimate: Duration,
}

/// The time that a job has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct JobTimes {
    /// The worker time: the time for which the job has held its worker.
    pub(super) held: Duration,
    /// The processor time of its worker.
    pub(super) cpu: Duration,
}

impl<E: Clone + Ord + Hash, P: Clone + Ord + Hash, J> FairQueue<E, P, J> {
    /// Creates a queue for a number of workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            economies: BTreeMap::new(),
            clock: Duration::ZERO,
            running: Vec::new(),
            waiting: 0,
            durations: HashMap::new(),
            counter: 0,
        }
    }

    /// Returns the number of waiting jobs.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a job to the queue of its plugin.
    pub(super) fn push(&mut self, economy: E, plugin: P, job: J) -> QueueTicket<E, P> {
        let number = self.count();
        let ticket = QueueTicket {
            economy,
            plugin,
            number,
        };
        let economy = self.economies.entry(ticket.economy.clone()).or_default();
        let queue = economy.plugins.entry(ticket.plugin.clone()).or_default();
        economy.usage.arrive(self.clock);
        queue.usage.arrive(economy.clock);
        queue.jobs.push_back((number, job));
        self.waiting += 1;
        ticket
    }

    /// Removes a waiting job. Returns none if it has started.
    pub(super) fn cancel(&mut self, ticket: &QueueTicket<E, P>) -> Option<J> {
        let economy = self.economies.get_mut(&ticket.economy)?;
        let queue = economy.plugins.get_mut(&ticket.plugin)?;
        let index = queue.jobs.iter().position(|job| job.0 == ticket.number)?;
        let (_, job) = queue.jobs.remove(index)?;
        queue.usage.waiting -= 1;
        economy.usage.waiting -= 1;
        self.waiting -= 1;
        self.tidy(&ticket.economy);
        Some(job)
    }

    /// Starts the next job, if one may start now. The caller must have a free worker.
    pub(super) fn start(&mut self, now: Duration) -> Option<(RunningTicket<E, P>, J)> {
        let long = self.running.iter().filter(|running| running.is_long(now));
        let long: Vec<_> = long.map(|running| &running.economy).collect();
        let half = (self.workers / 2).max(1);
        let candidates = self.economies.iter().filter_map(|(id, economy)| {
            let may_start_long = long.len() + 1 < self.workers || !long.contains(&id);
            let plugin = economy.next(|plugin| may_start_long || !self.is_long(id, plugin, now))?;
            Some((economy.usage.key(half), id, plugin))
        });
        let (_, economy, plugin) = candidates.min_by_key(|(key, _, _)| *key)?;
        let economy = economy.clone();
        let plugin = plugin.clone();
        let long = self.is_long(&economy, &plugin, now);
        let (ticket, job) = self.start_of(economy, plugin)?;
        self.running.push(RunningJob {
            economy: ticket.economy.clone(),
            number: ticket.number,
            long,
            began: now,
        });
        Some((ticket, job))
    }

    /// Starts the oldest job of a plugin.
    fn start_of(&mut self, economy: E, plugin: P) -> Option<(RunningTicket<E, P>, J)> {
        let turn = self.count();
        let durations = self.durations.get(&(economy.clone(), plugin.clone()));
        let estimate = durations.map_or(ESTIMATE, |durations| durations.mean);
        let of_economy = self.economies.get_mut(&economy)?;
        let queue = of_economy.plugins.get_mut(&plugin)?;
        let (number, job) = queue.jobs.pop_front()?;
        of_economy.usage.start(&mut self.clock, estimate, turn);
        queue.usage.start(&mut of_economy.clock, estimate, turn);
        self.waiting -= 1;
        let ticket = RunningTicket {
            economy,
            plugin,
            number,
            estimate,
        };
        Some((ticket, job))
    }

    /// Ends a job: charges its worker time and frees its worker.
    pub(super) fn end(&mut self, ticket: RunningTicket<E, P>, times: JobTimes, now: Duration) {
        let RunningTicket {
            economy,
            plugin,
            number,
            estimate,
        } = ticket;
        self.running.retain(|running| running.number != number);
        if let Some(of_economy) = self.economies.get_mut(&economy) {
            of_economy.usage.end(estimate, times.held);
            if let Some(queue) = of_economy.plugins.get_mut(&plugin) {
                queue.usage.end(estimate, times.held);
            }
        }
        self.tidy(&economy);
        let entry = self.durations.entry((economy, plugin));
        let durations = entry.or_insert(JobDurations {
            mean: times.held,
            ..JobDurations::default()
        });
        durations.add(times, now);
        if self.durations.len() > REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    /// Removes all waiting jobs.
    pub(super) fn drain(&mut self) -> Vec<J> {
        let mut drained = Vec::with_capacity(self.waiting);
        for economy in self.economies.values_mut() {
            economy.usage.waiting = 0;
            for queue in economy.plugins.values_mut() {
                queue.usage.waiting = 0;
                drained.extend(queue.jobs.drain(..).map(|(_, job)| job));
            }
        }
        self.waiting = 0;
        drained
    }

    /// Returns true if jobs of a plugin count as long.
    fn is_long(&self, economy: &E, plugin: &P, now: Duration) -> bool {
        let durations = self.durations.get(&(economy.clone(), plugin.clone()));
        durations.is_some_and(|durations| now < durations.long_until)
    }

    /// Returns the next number of the order of pushed and started jobs.
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Removes queues without a job, except those whose virtual time is ahead of their level. If these were removed, they
    /// would lose the charge for their jobs each time they return.
    fn tidy(&mut self, economy: &E) {
        if let Some(found) = self.economies.get_mut(economy) {
            let clock = found.clock;
            found
                .plugins
                .retain(|_, queue| queue.usage.is_needed(clock));
            if found.usage.is_idle() {
                // The busy period of the economy is over, so the virtual times in it start from zero again.
                found.plugins.clear();
                found.clock = Duration::ZERO;
            }
            if !found.usage.is_needed(self.clock) {
                self.economies.remove(economy);
            }
        }
        let busy = self.waiting > 0 || !self.running.is_empty();
        if !busy {
            self.economies.clear();
            self.clock = Duration::ZERO;
        } else if self.economies.len() > AHEAD_MAX + self.waiting + self.running.len() {
            let clock = self.clock;
            let is_needed = |economy: &mut EconomyQueue<P, J>| economy.usage.is_needed(clock);
            self.economies.retain(|_, economy| is_needed(economy));
            if self.economies.len() > AHEAD_MAX + self.waiting + self.running.len() {
                self.economies.retain(|_, economy| !economy.usage.is_idle());
            }
        }
    }

    /// Removes the half of the durations that were used longest ago. Removing half of them makes this rare.
    fn forget_oldest(&mut self) {
        let mut ended: Vec<_> = self.durations.values().map(|it| it.ended).collect();
        let middle = ended.len() / 2;
        let (_, median, _) = ended.select_nth_unstable(middle);
        let median = *median;
        self.durations.retain(|_, it| it.ended > median);
    }
}

impl<P: Ord, J> EconomyQueue<P, J> {
    /// Returns the plugin that starts the next job, of those that may start one.
    fn next(&self, may_start: impl Fn(&P) -> bool) -> Option<&P> {
        let waiting = self.plugins.iter();
        let waiting = waiting.filter(|(id, queue)| queue.usage.waiting > 0 && may_start(id));
        // The limit of half of the workers applies only to economies: a plugin may use all workers of its economy.
        let first = waiting.min_by_key(|(_, queue)| queue.usage.key(usize::MAX));
        first.map(|(id, _)| id)
    }
}

impl<P, J> Default for EconomyQueue<P, J> {
    fn default() -> Self {
        Self {
            usage: VirtualTime::default(),
            clock: Duration::ZERO,
            plugins: BTreeMap::new(),
        }
    }
}

impl<J> Default for PluginQueue<J> {
    fn default() -> Self {
        Self {
            usage: VirtualTime::default(),
            jobs: VecDeque::new(),
        }
    }
}

impl VirtualTime {
    /// Returns the sort key of the next start: first those with fewer workers than their share, then by virtual time,
    /// then in turn.
    fn key(&self, share: usize) -> (bool, Duration, u64) {
        (self.running >= share, self.charged, self.turn)
    }

    fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }

    /// Returns true if the queue has a job, or its virtual time is ahead of its level.
    fn is_needed(&self, clock: Duration) -> bool {
        !self.is_idle() || self.charged > clock
    }

    /// Counts a waiting job. After an idle time the virtual time is at least that of the level.
    fn arrive(&mut self, clock: Duration) {
        if self.is_idle() {
            self.charged = self.charged.max(clock);
        }
        self.waiting += 1;
    }

    /// Counts a start, and moves the virtual time of the level to the start of this job.
    fn start(&mut self, clock: &mut Duration, estimate: Duration, turn: u64) {
        *clock = (*clock).max(self.charged);
        self.charged = self.charged.saturating_add(estimate);
        self.waiting -= 1;
        self.running += 1;
        self.turn = turn;
    }

    /// Counts an end, and replaces the estimate by the worker time.
    fn end(&mut self, estimate: Duration, held: Duration) {
        self.charged = self.charged.saturating_add(held).saturating_sub(estimate);
        self.running -= 1;
    }
}

impl JobDurations {
    /// Adds a job that has ended.
    fn add(&mut self, times: JobTimes, now: Duration) {
        // The weight of 1/8 is that of the smoothed round-trip time of TCP (RFC 6298).
        self.mean = (self.mean * 7 + times.held) / 8;
        self.ended = now;
        if times.cpu > LONG {
            let until = now.saturating_add(times.cpu.saturating_mul(LONG_FOR));
            self.long_until = self.long_until.max(until);
        }
    }
}

#[cfg(test)]
mod tests;

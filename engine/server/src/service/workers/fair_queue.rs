//! Jobs before the workers, and which of them starts next: start-time fair queueing on two levels
//! (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996).
//!
//! Each economy has a *virtual time*, the worker time that its jobs have taken, and within an economy each
//! plugin has one. The job that starts next is the oldest one of the plugin with the least virtual time in
//! the economy with the least. One that returns after a while begins at the virtual time of what was
//! started last: idleness earns nothing.
//!
//! Worker time is charged and not processor time: a worker that is held is what the others lack, also
//! while it waits for the file or for a component to load. A job is charged an estimate when it starts, so
//! that several free workers do not all go to whoever has not been charged yet, and the rest when it ends.
//!
//! Jobs cannot be interrupted, so two rules keep workers free for those who come later. An economy that
//! holds half of the workers starts nothing more while one that holds less could start something. And an
//! economy may have one *long* job, but no further one that would leave no worker free of long jobs. So with
//! two workers a single economy never makes another one wait for the end of a long job. (A worker that is
//! kept for short jobs altogether would starve the long ones of an economy that also has short ones.)
//!
//! Time is a value here; there is no clock and no thread.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Processor time beyond which a job is long. A purchase takes less than a tenth of it.
const LONG: Duration = Duration::from_millis(2);

/// Worker time after which a job that runs counts as long, whatever was expected of it. More than [`LONG`]:
/// on a busy machine a short one may have to wait for a processor.
const LONG_RUN: Duration = Duration::from_millis(20);

/// The jobs of a plugin count as long for so many times the processor time of its last long one. So a
/// plugin that has now short jobs and now long ones holds up short jobs of others for at most a
/// hundredth of the time.
const LONG_FOR: u32 = 100;

/// The worker time that a job is expected to take if nothing is known of its plugin.
const ESTIMATE: Duration = Duration::from_millis(1);

/// Plugins that have no job, of which it is remembered how long their jobs take.
const REMEMBERED_MAX: usize = 4_096;

/// Economies that have no job, of which it is remembered that they are ahead of the others.
const AHEAD_MAX: usize = 256;

/// Jobs that wait, and what is known of those that run.
pub(super) struct FairQueue<E, P, J> {
    workers: usize,
    economies: BTreeMap<E, Economy<P, J>>,
    /// The virtual time of the economies: that of the one which started something last, at its start.
    clock: Duration,
    running: Vec<Running<E>>,
    waiting: usize,
    paces: HashMap<(E, P), Pace>,
    /// Counts what was put in and what was started.
    counter: u64,
}

/// The part of a line in its level.
#[derive(Clone, Copy, Default, Debug)]
struct Usage {
    /// Worker time that was charged, since the common beginning of the level.
    charged: Duration,
    waiting: usize,
    running: usize,
    /// The time of its last start.
    turn: u64,
}

struct Economy<P, J> {
    usage: Usage,
    /// The virtual time of its plugins.
    clock: Duration,
    plugins: BTreeMap<P, Line<J>>,
}

struct Line<J> {
    usage: Usage,
    jobs: VecDeque<(u64, J)>,
}

/// The length of a plugin's jobs.
#[derive(Clone, Copy, Default, Debug)]
struct Pace {
    /// Worker time of a job, as a mean in which older ones count less.
    mean: Duration,
    /// Until when its jobs count as long.
    long_until: Duration,
    /// The end of its last job.
    ended: Duration,
}

/// A job that runs.
struct Running<E> {
    economy: E,
    number: u64,
    long: bool,
    began: Duration,
}

impl<E> Running<E> {
    /// Returns true if it is long: also one that was expected to be short and is not.
    fn is_long(&self, now: Duration) -> bool {
        self.long || now.saturating_sub(self.began) > LONG_RUN
    }
}

/// A job that waits: by this it can be taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Place<E, P> {
    economy: E,
    plugin: P,
    number: u64,
}

/// A job that was started; it is charged for until it is given back with [`FairQueue::end`].
#[derive(Debug)]
#[must_use]
pub(super) struct Started<E, P> {
    economy: E,
    plugin: P,
    number: u64,
    estimate: Duration,
}

/// The time that a job took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Took {
    /// Time for which it held its worker.
    pub(super) held: Duration,
    /// Processor time of its worker.
    pub(super) cpu: Duration,
}

impl<E: Clone + Ord + Hash, P: Clone + Ord + Hash, J> FairQueue<E, P, J> {
    /// A queue before so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            economies: BTreeMap::new(),
            clock: Duration::ZERO,
            running: Vec::new(),
            waiting: 0,
            paces: HashMap::new(),
            counter: 0,
        }
    }

    /// The number of jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a job at the end of its plugin's line.
    pub(super) fn push(&mut self, economy: E, plugin: P, job: J) -> Place<E, P> {
        let number = self.count();
        let place = Place {
            economy,
            plugin,
            number,
        };
        let economy = self.economies.entry(place.economy.clone()).or_default();
        let line = economy.plugins.entry(place.plugin.clone()).or_default();
        economy.usage.arrive(self.clock);
        line.usage.arrive(economy.clock);
        line.jobs.push_back((number, job));
        self.waiting += 1;
        place
    }

    /// Removes a job that still waits.
    pub(super) fn take_back(&mut self, place: &Place<E, P>) -> Option<J> {
        let economy = self.economies.get_mut(&place.economy)?;
        let line = economy.plugins.get_mut(&place.plugin)?;
        let at = line.jobs.iter().position(|job| job.0 == place.number)?;
        let (_, job) = line.jobs.remove(at)?;
        line.usage.waiting -= 1;
        economy.usage.waiting -= 1;
        self.waiting -= 1;
        self.tidy(&place.economy);
        Some(job)
    }

    /// Starts the next job, if one may start now. Only for a worker that is free.
    pub(super) fn start(&mut self, now: Duration) -> Option<(Started<E, P>, J)> {
        let long = self.running.iter().filter(|running| running.is_long(now));
        let long: Vec<_> = long.map(|running| &running.economy).collect();
        let half = (self.workers / 2).max(1);
        let candidates = self.economies.iter().filter_map(|(id, economy)| {
            let room_for_long = long.len() + 1 < self.workers || !long.contains(&id);
            let plugin = economy.next(|plugin| room_for_long || !self.is_long(id, plugin, now))?;
            Some((economy.usage.key(half), id, plugin))
        });
        let (_, economy, plugin) = candidates.min_by_key(|(key, _, _)| *key)?;
        let (economy, plugin) = (economy.clone(), plugin.clone());
        let long = self.is_long(&economy, &plugin, now);
        let (started, job) = self.start_of(economy, plugin)?;
        self.running.push(Running {
            economy: started.economy.clone(),
            number: started.number,
            long,
            began: now,
        });
        Some((started, job))
    }

    fn start_of(&mut self, economy: E, plugin: P) -> Option<(Started<E, P>, J)> {
        let turn = self.count();
        let known = self.paces.get(&(economy.clone(), plugin.clone()));
        let estimate = known.map_or(ESTIMATE, |pace| pace.mean);
        let of_economy = self.economies.get_mut(&economy)?;
        let line = of_economy.plugins.get_mut(&plugin)?;
        let (number, job) = line.jobs.pop_front()?;
        of_economy.usage.start(&mut self.clock, estimate, turn);
        line.usage.start(&mut of_economy.clock, estimate, turn);
        self.waiting -= 1;
        let started = Started {
            economy,
            plugin,
            number,
            estimate,
        };
        Some((started, job))
    }

    /// Charges for a job that has ended, and frees its worker.
    pub(super) fn end(&mut self, started: Started<E, P>, took: Took, now: Duration) {
        let Started {
            economy,
            plugin,
            number,
            estimate,
        } = started;
        self.running.retain(|running| running.number != number);
        if let Some(of_economy) = self.economies.get_mut(&economy) {
            of_economy.usage.end(estimate, took.held);
            if let Some(line) = of_economy.plugins.get_mut(&plugin) {
                line.usage.end(estimate, took.held);
            }
        }
        self.tidy(&economy);
        let pace = self.paces.entry((economy, plugin)).or_insert(Pace {
            mean: took.held,
            ..Pace::default()
        });
        pace.note(took, now);
        if self.paces.len() > REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    /// Removes all that waits.
    pub(super) fn drain(&mut self) -> Vec<J> {
        let mut drained = Vec::with_capacity(self.waiting);
        for economy in self.economies.values_mut() {
            economy.usage.waiting = 0;
            for line in economy.plugins.values_mut() {
                line.usage.waiting = 0;
                drained.extend(line.jobs.drain(..).map(|(_, job)| job));
            }
        }
        self.waiting = 0;
        drained
    }

    fn is_long(&self, economy: &E, plugin: &P, now: Duration) -> bool {
        let pace = self.paces.get(&(economy.clone(), plugin.clone()));
        pace.is_some_and(|pace| now < pace.long_until)
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Forgets lines without a job, but for those that are ahead of the others: they would otherwise begin
    /// anew each time that they return.
    fn tidy(&mut self, economy: &E) {
        if let Some(found) = self.economies.get_mut(economy) {
            let clock = found.clock;
            found.plugins.retain(|_, line| line.usage.counts(clock));
            if found.usage.is_idle() {
                // A busy period is over; the next one has a beginning of its own.
                found.plugins.clear();
                found.clock = Duration::ZERO;
            }
            if !found.usage.counts(self.clock) {
                self.economies.remove(economy);
            }
        }
        let busy = self.waiting > 0 || !self.running.is_empty();
        if !busy {
            self.economies.clear();
            self.clock = Duration::ZERO;
        } else if self.economies.len() > AHEAD_MAX + self.waiting + self.running.len() {
            let clock = self.clock;
            let counts = |economy: &mut Economy<P, J>| economy.usage.counts(clock);
            self.economies.retain(|_, economy| counts(economy));
            if self.economies.len() > AHEAD_MAX + self.waiting + self.running.len() {
                self.economies.retain(|_, economy| !economy.usage.is_idle());
            }
        }
    }

    /// Forgets the half of the paces that were used longest ago, so that this is seldom.
    fn forget_oldest(&mut self) {
        let mut ended: Vec<_> = self.paces.values().map(|pace| pace.ended).collect();
        let middle = ended.len() / 2;
        let (_, median, _) = ended.select_nth_unstable(middle);
        let median = *median;
        self.paces.retain(|_, pace| pace.ended > median);
    }
}

impl<P: Ord, J> Economy<P, J> {
    /// The plugin whose turn it is, of those that may start something.
    fn next(&self, may_start: impl Fn(&P) -> bool) -> Option<&P> {
        let waiting = self.plugins.iter();
        let waiting = waiting.filter(|(id, line)| line.usage.waiting > 0 && may_start(id));
        // Within an economy there is no half: a plugin may take what the others leave.
        let first = waiting.min_by_key(|(_, line)| line.usage.key(usize::MAX));
        first.map(|(id, _)| id)
    }
}

impl<P, J> Default for Economy<P, J> {
    fn default() -> Self {
        Self {
            usage: Usage::default(),
            clock: Duration::ZERO,
            plugins: BTreeMap::new(),
        }
    }
}

impl<J> Default for Line<J> {
    fn default() -> Self {
        Self {
            usage: Usage::default(),
            jobs: VecDeque::new(),
        }
    }
}

impl Usage {
    /// The order of turns: less than its share before more, then by virtual time, then in turn.
    fn key(&self, share: usize) -> (bool, Duration, u64) {
        (self.running >= share, self.charged, self.turn)
    }

    fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }

    /// Returns true if it has to be remembered.
    fn counts(&self, clock: Duration) -> bool {
        !self.is_idle() || self.charged > clock
    }

    fn arrive(&mut self, clock: Duration) {
        if self.is_idle() {
            self.charged = self.charged.max(clock);
        }
        self.waiting += 1;
    }

    fn start(&mut self, clock: &mut Duration, estimate: Duration, turn: u64) {
        *clock = (*clock).max(self.charged);
        self.charged = self.charged.saturating_add(estimate);
        self.waiting -= 1;
        self.running += 1;
        self.turn = turn;
    }

    fn end(&mut self, estimate: Duration, held: Duration) {
        self.charged = self.charged.saturating_add(held).saturating_sub(estimate);
        self.running -= 1;
    }
}

impl Pace {
    fn note(&mut self, took: Took, now: Duration) {
        self.mean = (self.mean * 7 + took.held) / 8;
        self.ended = now;
        if took.cpu > LONG {
            let until = now.saturating_add(took.cpu.saturating_mul(LONG_FOR));
            self.long_until = self.long_until.max(until);
        }
    }
}

#[cfg(test)]
mod tests;

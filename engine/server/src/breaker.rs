//! The circuit breaker: the policy that switches off a plugin whose calls keep failing. Time is a value here; there is no
//! clock.
//!
//! Calls are counted over a sliding window, for each installed plugin with a failed call. Three conditions must hold
//! together, so that neither a single member nor a busy machine can switch a plugin off:
//!
//! * **A share of calls.** At least half of the calls have failed.
//! * **Distinct callers.** Several callers have failed in most of their calls, and they are at least half of all
//!   callers. An account that floods a plugin with arguments that make it fault counts once. Callers are counted on a
//!   uniform sample of bounded size: those with the lowest keyed hashes (bottom-k sampling; Cohen and Kaplan,
//!   "Summarizing data using bottom-k sketches", PODC 2007). A secret key hides from callers who is in the sample.
//! * **Guest processor time.** The failed calls have used enough of it. A call that reaches its deadline with little
//!   processor time was delayed by the machine, and is not counted at all. A fault is the same on any machine, so
//!   each counts as at least a few milliseconds: many cheap faults switch a plugin off, slowly.
//!
//! A schedule has no callers. It switches its plugin off if each of its latest runs has failed.

mod tally;

use std::collections::HashMap;
use std::time::Duration;

use bursar_ledger::{
    AccountId, Digest, EconomyId, PluginName, SCHEDULES_MAX, SwitchOffEvidence, SwitchOffReason,
};

use tally::{CPU_MIN, Tally, Window};

pub(crate) use tally::CallVerdict;

/// The fewest consecutive failed runs of a schedule that switch its plugin off.
pub(crate) const SCHEDULE_RUNS_MIN: u32 = 20;
/// The most plugins with counts, of all economies together. A further one replaces the plugin whose last failed call is
/// the oldest.
pub(crate) const PLUGINS_WATCHED_MAX: usize = 4_096;

/// The source of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CallSource {
    /// The account of the caller.
    Caller(AccountId),
    /// The name of a schedule of the plugin.
    Schedule(String),
}

/// A call that has ended, for the counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CallEnd {
    /// The economy and the plugin.
    pub(crate) of: (EconomyId, PluginName),
    /// The version of the installation that ran.
    pub(crate) version: u64,
    /// The caller or the schedule.
    pub(crate) source: CallSource,
    /// The result for the plugin.
    pub(crate) verdict: CallVerdict,
    /// The processor time of the run.
    pub(crate) cpu: Duration,
}

/// The decision to switch a plugin off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trip {
    /// The economy and the plugin.
    pub(crate) of: (EconomyId, PluginName),
    /// The version of the installation whose calls were counted.
    pub(crate) as_of: u64,
    /// The counts that led to the decision.
    pub(crate) why: SwitchOffEvidence,
}

/// The counts of all plugins with a failed call in the window.
pub(crate) struct Breaker {
    /// The key of the hashes of callers, so that callers cannot choose accounts that are in the sample.
    secret: [u8; 32],
    /// Processor time below which a missed deadline is not counted.
    deadline_cpu_min: Duration,
    plugins: HashMap<(EconomyId, PluginName), PluginCounts>,
}

/// The counts of one plugin.
struct PluginCounts {
    version: u64,
    calls: Window,
    /// Consecutive failed runs, by schedule.
    schedules: HashMap<String, Tally>,
    last_failure: Duration,
}

impl Breaker {
    /// Creates a breaker without counts, for calls with a deadline.
    pub(crate) fn new(secret: [u8; 32], deadline: Duration) -> Self {
        Self {
            secret,
            deadline_cpu_min: deadline / 2,
            plugins: HashMap::new(),
        }
    }

    /// Counts a call. Returns a decision if the plugin must be switched off now, and forgets its counts then.
    pub(crate) fn count(&mut self, end: CallEnd, now: Duration) -> Option<Trip> {
        let is_delayed = end.verdict == CallVerdict::Deadline && end.cpu < self.deadline_cpu_min;
        if is_delayed {
            return None;
        }
        if end.verdict == CallVerdict::Good {
            // A plugin without a failed call has no counts.
            self.plugins.get_mut(&end.of)?;
        } else {
            self.make_room(&end.of);
        }
        let caller = match &end.source {
            CallSource::Caller(caller) => Some(self.hash(caller)),
            CallSource::Schedule(_) => None,
        };
        let counts = self
            .plugins
            .entry(end.of.clone())
            .or_insert_with(|| PluginCounts::new(now));
        if counts.version != end.version {
            // Calls with an earlier component or configuration say nothing about the present one.
            *counts = PluginCounts::new(now);
            counts.version = end.version;
        }
        if end.verdict != CallVerdict::Good {
            counts.last_failure = now;
        }
        let why = match (caller, end.source) {
            (Some(caller), _) => counts.calls.count(caller, end.verdict, end.cpu, now),
            (None, CallSource::Schedule(schedule)) => {
                counts.count_run(schedule, end.verdict, end.cpu)
            }
            (None, CallSource::Caller(_)) => None,
        };
        if why.is_some() || counts.is_clean(now) {
            self.plugins.remove(&end.of);
        }
        why.map(|why| Trip {
            of: end.of,
            as_of: end.version,
            why,
        })
    }

    /// Forgets the plugin with the oldest last failed call, if there are too many to add another.
    fn make_room(&mut self, of: &(EconomyId, PluginName)) {
        if self.plugins.len() < PLUGINS_WATCHED_MAX || self.plugins.contains_key(of) {
            return;
        }
        let oldest = self
            .plugins
            .iter()
            .min_by_key(|(_, counts)| counts.last_failure);
        if let Some(oldest) = oldest.map(|(of, _)| of.clone()) {
            self.plugins.remove(&oldest);
        }
    }

    /// Returns the keyed hash of a caller. The key is a prefix of fixed length and the digest is not published, so a
    /// plain SHA-256 is enough.
    fn hash(&self, caller: &AccountId) -> u64 {
        let text = [&self.secret, caller.as_str().as_bytes()].concat();
        let digest = Digest::of(&text);
        let first = digest.as_bytes().first_chunk::<8>();
        u64::from_le_bytes(*first.expect("a digest has 32 bytes"))
    }
}

impl PluginCounts {
    fn new(now: Duration) -> Self {
        Self {
            version: 0,
            calls: Window::new(now),
            schedules: HashMap::new(),
            last_failure: now,
        }
    }

    /// Counts a run of a schedule. A successful run resets the count.
    fn count_run(
        &mut self,
        schedule: String,
        verdict: CallVerdict,
        cpu: Duration,
    ) -> Option<SwitchOffEvidence> {
        if verdict == CallVerdict::Good {
            self.schedules.remove(&schedule);
            return None;
        }
        if self.schedules.len() >= SCHEDULES_MAX && !self.schedules.contains_key(&schedule) {
            // A component has no more schedules, so some of these are of an earlier component.
            self.schedules.clear();
        }
        let runs = self.schedules.entry(schedule.clone()).or_default();
        runs.count(verdict, cpu);
        let fails = runs.calls >= SCHEDULE_RUNS_MIN && runs.cpu >= CPU_MIN;
        fails.then(|| runs.evidence(SwitchOffReason::Schedule { schedule }, 0))
    }

    /// Returns true if the plugin has no failed call in the window.
    fn is_clean(&mut self, now: Duration) -> bool {
        self.schedules.is_empty() && self.calls.is_clean(now)
    }
}

#[cfg(test)]
mod tests;

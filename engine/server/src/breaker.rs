//! The policy that switches off a plugin whose calls keep failing, over values of time alone.
//!
//! Calls are counted over a sliding window, for each installed plugin of which any has failed. Three
//! things must come together, so that no single member and no busy machine can switch a shop off:
//!
//! * **A share of calls.** At least half of the calls have failed.
//! * **Distinct callers.** Several callers have failed in most of their calls, and they are at least half
//!   of all callers. One account that floods a plugin with arguments that make it fault weighs one. Callers
//!   are counted on a uniform sample of bounded size: those whose keyed hash is lowest.
//! * **Guest processor time.** The failed calls have used enough of it. A deadline that was met with
//!   little processor time used is the machine's doing, and is not counted at all. A fault is the same on
//!   any machine, so each counts as a few milliseconds at least: many cheap ones switch off, slowly.
//!
//! A schedule has no callers. It counts when it has failed in each of its latest runs.

mod tally;

use std::collections::HashMap;
use std::time::Duration;

use bursar_ledger::{
    AccountId, Digest, EconomyId, PluginName, SCHEDULES_MAX, SwitchOffEvidence, SwitchOffReason,
};

use tally::{Tally, Window};

/// The span over which calls are counted. They are kept in halves of it, so it is half as long at least.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);
/// Calls in the window without which nothing is switched off.
pub(crate) const CALLS_MIN: u32 = 20;
/// Callers of failed calls without whom nothing is switched off.
pub(crate) const CALLERS_MIN: usize = 5;
/// Callers of one plugin that are remembered in each half of the window.
pub(crate) const CALLERS_KEPT_MAX: usize = 64;
/// Processor time of failed calls without which nothing is switched off.
pub(crate) const CPU_MIN: Duration = Duration::from_secs(1);
/// Processor time that a fault counts as at least.
pub(crate) const FAULT_CPU_MIN: Duration = Duration::from_millis(5);
/// Runs of a schedule in a row, all of them failed, without which they switch nothing off.
pub(crate) const SCHEDULE_RUNS_MIN: u32 = 20;
/// Plugins of which failed calls are remembered at the same time, of all economies together. One beyond
/// takes the place of the one that has been without a failed call for longest.
pub(crate) const PLUGINS_WATCHED_MAX: usize = 4_096;

/// The end of a call, as far as it speaks for or against its plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallVerdict {
    /// With a reply, a decline, or a rejection of the ledger's.
    Good,
    /// With a fault, or a stack overflow.
    Fault,
    /// At the deadline.
    Deadline,
}

/// The one who has asked for a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CallSource {
    /// A member.
    Caller(AccountId),
    /// A schedule of the plugin's own.
    Schedule(String),
}

/// The end of one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CallEnd {
    /// Of which plugin, where.
    pub(crate) of: (EconomyId, PluginName),
    /// The version of the installation that ran.
    pub(crate) version: u64,
    /// The one who has asked for it.
    pub(crate) source: CallSource,
    /// Its end.
    pub(crate) verdict: CallVerdict,
    /// Processor time that it took.
    pub(crate) cpu: Duration,
}

/// A plugin that is to be switched off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trip {
    /// The plugin and its economy.
    pub(crate) of: (EconomyId, PluginName),
    /// The version of the installation whose calls were counted.
    pub(crate) as_of: u64,
    /// The reason.
    pub(crate) why: SwitchOffEvidence,
}

/// Calls of all plugins of which any has failed lately.
pub(crate) struct Breaker {
    /// Keys the hashes of callers, so that nobody chooses which of them are remembered.
    secret: [u8; 32],
    /// Processor time below which a deadline was the machine's doing.
    deadline_cpu_min: Duration,
    watched: HashMap<(EconomyId, PluginName), Watched>,
}

/// The counts of one plugin.
struct Watched {
    version: u64,
    calls: Window,
    /// Runs in a row that have failed, by schedule.
    schedules: HashMap<String, Tally>,
    last_failure: Duration,
}

impl Breaker {
    /// A breaker that has seen nothing, for calls that may take so long.
    pub(crate) fn new(secret: [u8; 32], deadline: Duration) -> Self {
        Self {
            secret,
            deadline_cpu_min: deadline / 2,
            watched: HashMap::new(),
        }
    }

    /// Counts a call. With the one that is once too many the plugin is to be switched off, and what was
    /// counted of it is forgotten.
    pub(crate) fn note(&mut self, end: CallEnd, now: Duration) -> Option<Trip> {
        let machine = end.verdict == CallVerdict::Deadline && end.cpu < self.deadline_cpu_min;
        if machine {
            return None;
        }
        if end.verdict == CallVerdict::Good {
            // Nothing is kept of a plugin without a failed call.
            self.watched.get_mut(&end.of)?;
        } else {
            self.make_room(&end.of);
        }
        let caller = match &end.source {
            CallSource::Caller(caller) => Some(self.hash(caller)),
            CallSource::Schedule(_) => None,
        };
        let watched = self
            .watched
            .entry(end.of.clone())
            .or_insert_with(|| Watched::new(now));
        if watched.version != end.version {
            // Other settings, other calls: what was counted before does not speak of them.
            *watched = Watched::new(now);
            watched.version = end.version;
        }
        if end.verdict != CallVerdict::Good {
            watched.last_failure = now;
        }
        let why = match (caller, end.source) {
            (Some(caller), _) => watched.calls.note(caller, end.verdict, end.cpu, now),
            (None, CallSource::Schedule(schedule)) => {
                watched.note_run(schedule, end.verdict, end.cpu)
            }
            (None, CallSource::Caller(_)) => None,
        };
        if why.is_some() || watched.is_clean(now) {
            self.watched.remove(&end.of);
        }
        let (of, as_of) = (end.of, end.version);
        why.map(|why| Trip { of, as_of, why })
    }

    /// Lets the plugin go that has been without a failed call for longest, if there is no room for another.
    fn make_room(&mut self, of: &(EconomyId, PluginName)) {
        if self.watched.len() < PLUGINS_WATCHED_MAX || self.watched.contains_key(of) {
            return;
        }
        let oldest = self
            .watched
            .iter()
            .min_by_key(|(_, watched)| watched.last_failure);
        if let Some(oldest) = oldest.map(|(of, _)| of.clone()) {
            self.watched.remove(&oldest);
        }
    }

    fn hash(&self, caller: &AccountId) -> u64 {
        let text = [&self.secret, caller.as_str().as_bytes()].concat();
        let digest = Digest::of(&text);
        let first = digest.as_bytes().first_chunk::<8>();
        u64::from_le_bytes(*first.expect("a digest has 32 bytes"))
    }
}

impl Watched {
    fn new(now: Duration) -> Self {
        Self {
            version: 0,
            calls: Window::new(now),
            schedules: HashMap::new(),
            last_failure: now,
        }
    }

    /// Counts a run of a schedule; a good one begins anew.
    fn note_run(
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
            // A plugin has no more: these are of a component that was here before.
            self.schedules.clear();
        }
        let runs = self.schedules.entry(schedule.clone()).or_default();
        runs.count(verdict, cpu);
        let fails = runs.calls >= SCHEDULE_RUNS_MIN && runs.cpu >= CPU_MIN;
        fails.then(|| runs.switch_off(SwitchOffReason::Schedule { schedule }, 0))
    }

    /// Returns true if nothing is known against the plugin any more.
    fn is_clean(&mut self, now: Duration) -> bool {
        self.schedules.is_empty() && self.calls.is_clean(now)
    }
}

#[cfg(test)]
mod tests;

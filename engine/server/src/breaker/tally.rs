//! The calls of one plugin, counted over a window, and the bounds at which they switch it off.

use std::collections::BTreeMap;
use std::time::Duration;

use bursar_ledger::{SwitchOffEvidence, SwitchOffReason};

/// The span over which calls are counted. The window moves by half of it, so it covers at least that half.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);
/// The fewest calls in the window that switch a plugin off.
pub(crate) const CALLS_MIN: u32 = 20;
/// The fewest callers of failed calls that switch a plugin off.
pub(crate) const CALLERS_MIN: usize = 5;
/// The most callers in the sample of each half of the window.
pub(crate) const CALLERS_KEPT_MAX: usize = 64;
/// The least processor time of failed calls that switches a plugin off.
pub(crate) const CPU_MIN: Duration = Duration::from_secs(1);
/// The least processor time that each fault counts.
pub(crate) const FAULT_CPU_MIN: Duration = Duration::from_millis(5);

/// The result of a call, for or against its plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallVerdict {
    /// A reply, a decline, or a rejection by the ledger.
    Good,
    /// A fault or a stack overflow.
    Fault,
    /// A missed deadline.
    Deadline,
}

/// The counts of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: u32,
    faults: u32,
    deadlines: u32,
    /// The processor time of failed calls.
    pub(super) cpu: Duration,
}

impl Tally {
    pub(super) fn count(&mut self, verdict: CallVerdict, cpu: Duration) {
        self.calls = self.calls.saturating_add(1);
        match verdict {
            CallVerdict::Good => {}
            CallVerdict::Fault => {
                self.faults = self.faults.saturating_add(1);
                self.cpu = self.cpu.saturating_add(cpu.max(FAULT_CPU_MIN));
            }
            CallVerdict::Deadline => {
                self.deadlines = self.deadlines.saturating_add(1);
                self.cpu = self.cpu.saturating_add(cpu);
            }
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            faults: self.faults.saturating_add(other.faults),
            deadlines: self.deadlines.saturating_add(other.deadlines),
            cpu: self.cpu.saturating_add(other.cpu),
        }
    }

    fn failed(&self) -> u32 {
        self.faults.saturating_add(self.deadlines)
    }

    /// Returns true if at least half of the calls have failed.
    fn mostly_fails(&self) -> bool {
        self.calls > 0 && self.failed() >= self.calls.div_ceil(2)
    }

    /// Returns the evidence for the record of a switch-off.
    pub(super) fn evidence(&self, reason: SwitchOffReason, callers: usize) -> SwitchOffEvidence {
        SwitchOffEvidence {
            reason,
            calls: self.calls,
            faults: self.faults,
            deadlines: self.deadlines,
            callers: u32::try_from(callers).unwrap_or(u32::MAX),
            cpu_ms: u64::try_from(self.cpu.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The numbers of calls and of failed calls of one caller.
type CallerTally = (u32, u32);

/// The counts of one half of the window.
#[derive(Default)]
struct Half {
    all: Tally,
    /// The callers with the lowest hashes. A hash does not depend on the number of calls, so this is a uniform sample of
    /// callers.
    callers: BTreeMap<u64, CallerTally>,
}

impl Half {
    fn count(&mut self, caller: u64, verdict: CallVerdict, cpu: Duration) {
        self.all.count(verdict, cpu);
        let failed = u32::from(verdict != CallVerdict::Good);
        let (calls, failures) = self.callers.entry(caller).or_default();
        *calls = calls.saturating_add(1);
        *failures = failures.saturating_add(failed);
        if self.callers.len() > CALLERS_KEPT_MAX {
            self.callers.pop_last();
        }
    }
}

/// The counts of a sliding window in two halves. The older half is dropped as a whole.
pub(super) struct Window {
    older: Half,
    newer: Half,
    /// The start of the newer half.
    since: Duration,
}

impl Window {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            older: Half::default(),
            newer: Half::default(),
            since: now,
        }
    }

    /// Counts a call. Returns evidence if all conditions for a switch-off hold.
    pub(super) fn count(
        &mut self,
        caller: u64,
        verdict: CallVerdict,
        cpu: Duration,
        now: Duration,
    ) -> Option<SwitchOffEvidence> {
        self.move_on(now);
        self.newer.count(caller, verdict, cpu);
        let all = self.older.all.add(self.newer.all);
        if all.calls < CALLS_MIN || !all.mostly_fails() || all.cpu < CPU_MIN {
            return None;
        }
        let (callers, failing) = self.callers();
        if failing < CALLERS_MIN || failing < callers.div_ceil(2) {
            return None;
        }
        let reason = if all.deadlines > all.faults {
            SwitchOffReason::Deadlines
        } else {
            SwitchOffReason::Faults
        };
        Some(all.evidence(reason, failing))
    }

    /// Returns the number of callers in the sample, and of those with mostly failed calls.
    pub(super) fn callers(&self) -> (usize, usize) {
        let mut both = self.older.callers.clone();
        for (caller, (calls, failures)) in &self.newer.callers {
            let sum = both.entry(*caller).or_default();
            sum.0 = sum.0.saturating_add(*calls);
            sum.1 = sum.1.saturating_add(*failures);
        }
        // Only the lowest hashes of both halves together are a sample of the whole window: a caller with a higher hash
        // may be missing from one half.
        let sample = both.into_values().take(CALLERS_KEPT_MAX);
        sample.fold((0, 0), |(all, failing), (calls, failures)| {
            let fails = failures >= calls.div_ceil(2);
            (all + 1, failing + usize::from(fails))
        })
    }

    /// Returns true if no call of the window has failed.
    pub(super) fn is_clean(&mut self, now: Duration) -> bool {
        self.move_on(now);
        self.older.all.failed() == 0 && self.newer.all.failed() == 0
    }

    fn move_on(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.since);
        if passed < WINDOW / 2 {
            return;
        }
        let newer = std::mem::take(&mut self.newer);
        self.older = if passed < WINDOW {
            newer
        } else {
            Half::default()
        };
        self.since = now;
    }
}

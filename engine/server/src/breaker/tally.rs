//! Calls of one plugin, counted over a window of two halves; and when they are too many.

use std::collections::BTreeMap;
use std::time::Duration;

use bursar_ledger::{SwitchOffEvidence, SwitchOffReason};

use super::{
    CALLERS_KEPT_MAX, CALLERS_MIN, CALLS_MIN, CPU_MIN, CallVerdict, FAULT_CPU_MIN, WINDOW,
};

/// Calls that were counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: u32,
    faults: u32,
    deadlines: u32,
    /// Processor time of those that failed.
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

    fn and(self, other: Self) -> Self {
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

    /// Returns true if half of the calls or more have failed.
    fn mostly_fails(&self) -> bool {
        self.calls > 0 && self.failed() >= self.calls.div_ceil(2)
    }

    /// Returns the counts that are kept when these calls switch their plugin off.
    pub(super) fn switch_off(&self, reason: SwitchOffReason, callers: usize) -> SwitchOffEvidence {
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

/// Calls and failed ones of one caller.
type CallerTally = (u32, u32);

/// One half of the window.
#[derive(Default)]
struct Half {
    all: Tally,
    /// The callers with the lowest hashes: a uniform sample of all, whatever each of them calls.
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

/// Calls of the last while, in two halves of which the older is dropped as a whole.
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

    /// Counts a call, and says why the plugin is to be switched off if it was once too many.
    pub(super) fn note(
        &mut self,
        caller: u64,
        verdict: CallVerdict,
        cpu: Duration,
        now: Duration,
    ) -> Option<SwitchOffEvidence> {
        self.move_on(now);
        self.newer.count(caller, verdict, cpu);
        let all = self.older.all.and(self.newer.all);
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
        Some(all.switch_off(reason, failing))
    }

    /// Callers of the sample, and those among them whose calls mostly fail.
    pub(super) fn callers(&self) -> (usize, usize) {
        let mut both = self.older.callers.clone();
        for (caller, (calls, failures)) in &self.newer.callers {
            let sum = both.entry(*caller).or_default();
            sum.0 = sum.0.saturating_add(*calls);
            sum.1 = sum.1.saturating_add(*failures);
        }
        // Beyond the lowest of both a caller may be missing from one half.
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
        let (half, passed) = (WINDOW / 2, now.saturating_sub(self.since));
        if passed < half {
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

//! Schedules: the times at which plugins run without a call.

use serde::{Deserialize, Serialize};

use crate::limits::{SCHEDULE_CATCH_UP_MAX, SCHEDULE_SECONDS_MAX};
use crate::time::Timestamp;

/// The policy for due times that were missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// Each missed due time gets a run, in order.
    CatchUp,
    /// Missed due times are skipped.
    Skip,
}

/// The times of a schedule: every multiple of `every_s` since 1970-01-01 UTC, plus `offset_s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTimes {
    /// The interval in seconds: 1 to [`SCHEDULE_SECONDS_MAX`].
    pub every_s: u64,
    /// The offset in seconds, less than `every_s`.
    #[serde(default)]
    pub offset_s: u64,
}

impl ScheduleTimes {
    /// Returns true if the interval and the offset are within their bounds.
    pub fn are_possible(&self) -> bool {
        (1..=SCHEDULE_SECONDS_MAX).contains(&self.every_s) && self.offset_s < self.every_s
    }

    /// Returns the first due time at or after `from` that is later than `now`. A `from` that is farther ahead
    /// than the longest interval is treated as one longest interval after `now`.
    pub fn first_from(&self, from: Timestamp, now: Timestamp) -> Timestamp {
        let farthest = SCHEDULE_SECONDS_MAX.saturating_mul(1000);
        let from = from.0.min(now.0.saturating_add(farthest));
        self.next_after(Timestamp(from.saturating_sub(1).max(now.0)))
    }

    /// Returns the first due time after a moment.
    pub fn next_after(&self, moment: Timestamp) -> Timestamp {
        let every = self.every_s.saturating_mul(1000).max(1);
        let offset = self.offset_s.saturating_mul(1000);
        let before = match moment.0.checked_sub(offset) {
            Some(passed) => passed.checked_div(every).unwrap_or(0).saturating_add(1),
            None => 0,
        };
        Timestamp(before.saturating_mul(every).saturating_add(offset))
    }
}

/// A schedule in a manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScheduleRule {
    /// The times.
    #[serde(flatten)]
    pub times: ScheduleTimes,
    /// The policy for missed due times.
    pub missed: MissedPolicy,
}

/// A schedule of an installed plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// The times, and the policy for missed due times.
    #[serde(flatten)]
    pub rule: ScheduleRule,
    /// The next due time without a run.
    pub next_due: Timestamp,
}

impl Schedule {
    /// Returns the schedule after the clock was set.
    ///
    /// Due times belong to the calendar. If time goes forward, the skipped ones were missed. If time goes
    /// back, the next run keeps its distance, rounded up to a due time, so that no due time runs twice.
    pub(crate) fn after_clock_set(self, from: Timestamp, to: Timestamp) -> Self {
        if to >= from {
            return self;
        }
        let moved = self.next_due.moved(from, to);
        // `next_after` excludes its argument, and a moment that is a due time itself must stay.
        let before = Timestamp(moved.0.saturating_sub(1));
        Self {
            next_due: self.rule.times.next_after(before),
            ..self
        }
    }

    /// Returns the first due time that still needs a run, as of `now`. The policy says which missed due times
    /// need none. At most the last [`SCHEDULE_CATCH_UP_MAX`] of them are caught up.
    pub fn first_wanted(&self, now: Timestamp) -> Timestamp {
        let ScheduleRule { times, missed } = self.rule;
        let from = match missed {
            MissedPolicy::Skip if times.next_after(self.next_due) > now => return self.next_due,
            MissedPolicy::Skip => now,
            MissedPolicy::CatchUp => {
                let every = times.every_s.saturating_mul(1000);
                let catch_up = every.saturating_mul(SCHEDULE_CATCH_UP_MAX);
                Timestamp(now.0.saturating_sub(catch_up))
            }
        };
        times.next_after(from).max(self.next_due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_are_multiples_with_an_offset() {
        let daily = ScheduleTimes {
            every_s: 86_400,
            offset_s: 72_000,
        };
        let next = |moment| daily.next_after(Timestamp(moment)).0;
        assert_eq!(next(0), 72_000_000);
        assert_eq!(next(71_999_999), 72_000_000);
        assert_eq!(next(72_000_000), 158_400_000);
        assert_eq!(next(158_399_999), 158_400_000);
    }

    #[test]
    fn a_requested_run_is_at_a_future_due_time_up_to_the_latest() {
        let minutely = ScheduleTimes {
            every_s: 60,
            offset_s: 0,
        };
        let first = |from, now| minutely.first_from(Timestamp(from), Timestamp(now)).0;
        assert_eq!(first(120_000, 5), 120_000);
        assert_eq!(first(120_001, 5), 180_000);
        assert_eq!(first(0, 120_000), 180_000, "what is now is not to come");
        let farthest = SCHEDULE_SECONDS_MAX * 1000;
        assert_eq!(first(farthest, 0), farthest);
        assert_eq!(first(farthest + 60_000, 0), farthest);
        assert_eq!(first(u64::MAX, 1), farthest + 60_000);
    }

    #[test]
    fn after_a_step_back_the_next_run_keeps_its_distance() {
        let next = |from, to| {
            let rule = ScheduleRule {
                times: ScheduleTimes {
                    every_s: 60,
                    offset_s: 0,
                },
                missed: MissedPolicy::Skip,
            };
            let next_due = Timestamp(120_000);
            let schedule = Schedule { rule, next_due };
            let moved = schedule.after_clock_set(Timestamp(from), Timestamp(to));
            moved.next_due.0
        };
        assert_eq!(next(100_000, 100_000), 120_000);
        assert_eq!(next(100_000, 200_000), 120_000, "what is skipped is missed");
        assert_eq!(next(100_000, 40_000), 60_000);
        assert_eq!(next(100_000, 40_001), 120_000);
        assert_eq!(next(100_000, 39_999), 60_000);
    }

    #[test]
    fn missed_runs_are_skipped_or_caught_up_within_a_bound() {
        let first_due = |missed, next_due, now| {
            let times = ScheduleTimes {
                every_s: 60,
                offset_s: 0,
            };
            let rule = ScheduleRule { times, missed };
            let schedule = Schedule {
                rule,
                next_due: Timestamp(next_due),
            };
            schedule.first_wanted(Timestamp(now)).0
        };
        assert_eq!(
            first_due(MissedPolicy::Skip, 60_000, 0),
            60_000,
            "nothing is due"
        );
        assert_eq!(
            first_due(MissedPolicy::Skip, 60_000, 119_999),
            60_000,
            "it is late"
        );
        assert_eq!(first_due(MissedPolicy::Skip, 60_000, 120_000), 180_000);
        let most = SCHEDULE_CATCH_UP_MAX * 60_000;
        assert_eq!(first_due(MissedPolicy::CatchUp, 60_000, 0), 60_000);
        assert_eq!(
            first_due(MissedPolicy::CatchUp, 60_000, 59_999 + most),
            60_000
        );
        assert_eq!(
            first_due(MissedPolicy::CatchUp, 60_000, 60_000 + most),
            120_000
        );
    }

    #[test]
    fn times_end_at_their_limits() {
        let are = |every_s, offset_s| ScheduleTimes { every_s, offset_s }.are_possible();
        assert!(!are(0, 0));
        assert!(are(1, 0));
        assert!(!are(60, 60));
        assert!(are(60, 59));
        assert!(are(SCHEDULE_SECONDS_MAX, 0));
        assert!(!are(SCHEDULE_SECONDS_MAX + 1, 0));
    }
}

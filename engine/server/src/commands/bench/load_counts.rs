//! The counts and latencies of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::http_answer::RequestOutcome;

/// The longest latency that is distinguished, in nanoseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// The precision of latencies, in decimal digits.
const DIGITS: u8 = 3;

/// The steps in which requests that were never sent are counted.
const UNSENT_STEPS: u64 = 10_000;

/// The counts and latencies of a load.
pub(super) struct LoadCounts {
    /// Requests that were answered.
    pub(super) requests: u64,
    /// Operations that succeeded: a batch has many.
    pub(super) operations: u64,
    /// Operations of these that left a record.
    pub(super) records: u64,
    /// Operations that did not succeed, by the code of their problem.
    pub(super) refused: BTreeMap<String, u64>,
    /// The first of them, for people.
    pub(super) first_refusal: Option<String>,
    /// Requests that were due while no connection was free, and were never sent.
    pub(super) unsent: u64,
    /// The time from the first request to the last answer.
    pub(super) elapsed: Duration,
    /// Latencies of requests, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
}

impl LoadCounts {
    /// Creates counts of zero.
    pub(super) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS);
        Self {
            requests: 0,
            operations: 0,
            records: 0,
            refused: BTreeMap::new(),
            first_refusal: None,
            unsent: 0,
            elapsed: Duration::ZERO,
            latencies: latencies.expect("the bounds are constants"),
        }
    }

    /// Counts an answer.
    pub(super) fn count(&mut self, latency: Duration, outcome: RequestOutcome) {
        self.requests = self.requests.saturating_add(1);
        self.latencies.saturating_record(nanoseconds(latency));
        self.operations = self.operations.saturating_add(outcome.succeeded);
        self.records = self.records.saturating_add(outcome.records);
        for (code, times) in outcome.refused {
            self.refuse(&code, times, || outcome.detail.clone());
        }
    }

    /// Counts operations that did not succeed.
    pub(super) fn refuse(&mut self, code: &str, times: u64, detail: impl FnOnce() -> String) {
        let counted = self.refused.entry(code.to_owned()).or_default();
        *counted = counted.saturating_add(times);
        self.first_refusal.get_or_insert_with(detail);
    }

    /// Counts requests that were due and never sent, at a rate up to the end. Their latency is at least the time that
    /// they have waited, so leaving them out would make a server that cannot keep up look fast.
    pub(super) fn count_unsent(&mut self, unsent: u64, rate: u64) {
        self.unsent = unsent;
        let step = unsent.div_ceil(UNSENT_STEPS).max(1);
        let mut place = 1;
        while place <= unsent {
            let waited = u128::from(place).saturating_mul(1_000_000_000);
            let waited = waited.checked_div(rate.into()).unwrap_or(0);
            let waited = u64::try_from(waited).unwrap_or(u64::MAX);
            let times = step.min(unsent.saturating_sub(place).saturating_add(1));
            self.latencies.saturating_record_n(waited.max(1), times);
            place = place.saturating_add(step);
        }
    }

    /// Adds the counts of another load after this one.
    pub(super) fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.operations = self.operations.saturating_add(other.operations);
        self.records = self.records.saturating_add(other.records);
        self.unsent = self.unsent.saturating_add(other.unsent);
        self.elapsed = self.elapsed.saturating_add(other.elapsed);
        for (code, times) in other.refused {
            let counted = self.refused.entry(code).or_default();
            *counted = counted.saturating_add(times);
        }
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
        let added = self.latencies.add(&other.latencies);
        added.expect("all histograms have the same bounds");
    }

    /// Returns the number of operations that did not succeed.
    pub(super) fn refusals(&self) -> u64 {
        self.refused
            .values()
            .fold(0, |sum, it| sum.saturating_add(*it))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_were_never_sent_count_with_the_time_that_they_waited() {
        let mut counts = LoadCounts::new();
        counts.count(Duration::from_micros(10), RequestOutcome::success(1, 1));
        counts.count_unsent(100_000, 1_000);
        assert_eq!(counts.unsent, 100_000);
        assert_eq!(counts.latencies.len(), 100_001);
        let median = counts.latencies.value_at_quantile(0.5);
        assert!(
            (49_000_000_000..51_000_000_000).contains(&median),
            "{median}"
        );
        let most = counts.latencies.max();
        assert!((99_000_000_000..=101_000_000_000).contains(&most), "{most}");
    }

    #[test]
    fn counts_of_two_loads_are_added() {
        let mut first = LoadCounts::new();
        first.count(Duration::from_millis(1), RequestOutcome::success(8, 8));
        let mut second = LoadCounts::new();
        second.count(Duration::from_millis(3), RequestOutcome::success(1, 0));
        second.refuse("overloaded", 2, || "busy".into());
        first.add(second);
        assert_eq!((first.requests, first.operations, first.records), (2, 9, 8));
        assert_eq!(first.refusals(), 2);
        assert_eq!(first.first_refusal.as_deref(), Some("busy"));
        assert!(first.latencies.max() >= 3_000_000);
    }

    #[test]
    fn latencies_beyond_an_hour_count_as_an_hour() {
        let mut counts = LoadCounts::new();
        counts.count(Duration::from_hours(2), RequestOutcome::success(1, 1));
        let most = counts.latencies.max();
        assert!(most.abs_diff(LATENCY_MAX) < LATENCY_MAX / 500, "{most}");
    }
}

//! The times at which an open loop sends its requests.

use std::time::Duration;

const NANOSECONDS: u128 = 1_000_000_000;

/// Times at a fixed distance, counted from the start of a measurement.
///
/// A request's latency counts from its time here, also if it is sent later because all connections wait for answers. If
/// it counted from the moment of sending, the waits that a slow server causes would be missing ("coordinated
/// omission").
pub(super) struct SendTimes {
    rate: u64,
    taken: u64,
}

impl SendTimes {
    /// Creates the times for a rate in requests a second.
    pub(super) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            taken: 0,
        }
    }

    /// Returns the next time.
    pub(super) fn next(&self) -> Duration {
        let nanoseconds = u128::from(self.taken)
            .saturating_mul(NANOSECONDS)
            .checked_div(self.rate.into());
        Duration::from_nanos_u128(nanoseconds.unwrap_or(0))
    }

    /// Takes the next time if it has come and is before the end.
    pub(super) fn take(&mut self, now: Duration, end: Duration) -> Option<Duration> {
        let next = self.next();
        if next > now || next >= end {
            return None;
        }
        self.taken = self.taken.saturating_add(1);
        Some(next)
    }

    /// Returns the number of times before the end at which no request was sent.
    pub(super) fn left(&self, end: Duration) -> u64 {
        let all = end
            .as_nanos()
            .saturating_mul(self.rate.into())
            .div_ceil(NANOSECONDS);
        u64::try_from(all)
            .unwrap_or(u64::MAX)
            .saturating_sub(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(number: u64) -> Duration {
        Duration::from_micros(number)
    }

    #[test]
    fn times_have_a_fixed_distance_and_do_not_drift() {
        let mut times = SendTimes::new(3);
        let second = Duration::from_secs(1);
        let end = second * 1_000;
        let mut taken = Vec::new();
        while let Some(time) = times.take(end, end) {
            taken.push(time);
        }
        assert_eq!(taken.len(), 3_000);
        assert_eq!(taken[0], Duration::ZERO);
        assert_eq!(taken[3], second);
        assert_eq!(taken[2_997], second * 999);
    }

    #[test]
    fn a_time_is_taken_once_it_has_come() {
        let mut times = SendTimes::new(1_000);
        let end = Duration::from_secs(1);
        assert_eq!(times.take(micros(0), end), Some(micros(0)));
        assert_eq!(times.take(micros(999), end), None);
        assert_eq!(times.take(micros(1_000), end), Some(micros(1_000)));
        // After a wait each missed time is taken, one after the other; none is skipped.
        assert_eq!(times.take(micros(5_500), end), Some(micros(2_000)));
        assert_eq!(times.take(micros(5_500), end), Some(micros(3_000)));
    }

    #[test]
    fn times_that_were_not_taken_are_counted() {
        let end = micros(4_000);
        let mut times = SendTimes::new(1_000);
        assert_eq!(times.left(end), 4);
        times.take(end, end);
        assert_eq!(times.left(end), 3);
        while times.take(end, end).is_some() {}
        assert_eq!(times.left(end), 0);
        assert_eq!(SendTimes::new(1_000).left(micros(4_001)), 5);
    }
}

//! Pauses that begin at a stored time, such as cooldowns.
//!
//! Time goes back in a plugin's calls only after an operator has set back a clock that was ahead. Times that
//! were stored before then lie in the future.

/// The milliseconds by which a stored time may lie in the future without a wrong clock. A call keeps its time
/// while it waits, and a later call may commit before it.
const OVERTAKEN_MS: u64 = 5 * 60 * 1000;

/// Returns the milliseconds that are left of a pause since a stored time; 0 once the pause is over.
///
/// A stored time in the future counts as now, because a call with a later time may have stored it. A time
/// that [is far ahead](is_far_ahead) comes from a wrong clock, and causes no pause.
///
/// ```
/// use bursar_plugin::rest_left_ms;
///
/// let noon = 43_200_000;
/// let hour = 3_600_000;
/// assert_eq!(rest_left_ms(noon, hour, noon + 1), hour - 1);
/// assert_eq!(rest_left_ms(noon, hour, noon + hour), 0);
/// assert_eq!(rest_left_ms(noon + 1, hour, noon), hour);
/// assert_eq!(rest_left_ms(noon + 2 * hour, hour, noon), 0);
/// ```
pub fn rest_left_ms(began_ms: u64, lasts_ms: u64, now_ms: u64) -> u64 {
    if is_far_ahead(began_ms, lasts_ms, now_ms) {
        return 0;
    }
    lasts_ms.saturating_sub(now_ms.saturating_sub(began_ms))
}

/// Returns true if a stored time lies so far in the future that it comes from a wrong clock: by more than
/// five minutes, and by more than `lasts_ms`, the duration of what began at that time.
pub fn is_far_ahead(stored_ms: u64, lasts_ms: u64, now_ms: u64) -> bool {
    stored_ms.saturating_sub(now_ms) > lasts_ms.max(OVERTAKEN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_far_ahead_is_ignored_and_a_near_one_counts_as_now() {
        let ahead =
            |ahead_ms, lasts_ms| rest_left_ms(OVERTAKEN_MS + ahead_ms, lasts_ms, OVERTAKEN_MS);
        assert_eq!(
            ahead(OVERTAKEN_MS, 1_000),
            1_000,
            "calls overtake each other"
        );
        assert_eq!(ahead(OVERTAKEN_MS + 1, 1_000), 0);
        let lasts = 3 * OVERTAKEN_MS;
        assert_eq!(ahead(lasts, lasts), lasts);
        assert_eq!(ahead(lasts + 1, lasts), 0);
    }

    #[test]
    fn a_pause_beyond_the_largest_time_never_ends() {
        assert_eq!(rest_left_ms(1, u64::MAX, u64::MAX), 1);
        assert_eq!(rest_left_ms(u64::MAX, u64::MAX, 0), u64::MAX);
    }
}

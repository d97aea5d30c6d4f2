//! Pauses that begin at a stored time, such as cooldowns.
//!
//! Time goes back in a plugin's calls only after an operator has set back a clock that was ahead. Times that
//! were stored before then lie in the future.

/// The milliseconds that a stored time may lie ahead because calls overtake each other. A call keeps its own
/// time while it waits for its turn.
const OVERTAKEN_MS: u64 = 5 * 60 * 1000;

/// Returns the milliseconds that are left of a pause since a stored time; 0 once the pause is over.
///
/// A stored time in the future counts as now. If it lies further ahead than the pause lasts, a wrong clock
/// has written it, and there is no pause.
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

/// Returns whether a stored time lies further in the future than the pause or the item that began at it
/// lasts. A wrong clock has then written it.
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

//! Pauses between one thing and the next: the same question wherever a plugin keeps a moment.
//!
//! Time never goes back in a plugin's calls, but where an operator has set the clock, since it was ahead.
//! What was kept until then is of a time that has not come.

/// How far a kept moment may lie ahead because calls overtake each other: each keeps its own time while it
/// waits for its turn.
const OVERTAKEN_MS: u64 = 5 * 60 * 1000;

/// Milliseconds that are left of a pause that began at a kept moment; 0 once it is over. A moment that has
/// not come counts as now, and not at all if it lies further ahead than the pause lasts: nobody waits for a
/// time that was shown by mistake.
///
/// ```
/// use bursar_plugin::rest_left_ms;
///
/// let (noon, hour) = (43_200_000, 3_600_000);
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

/// Whether a moment that was kept lies further ahead than what began at it lasts, so that it was shown by
/// mistake.
pub fn is_far_ahead(kept_ms: u64, lasts_ms: u64, now_ms: u64) -> bool {
    kept_ms.saturating_sub(now_ms) > lasts_ms.max(OVERTAKEN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_is_far_ahead_counts_no_longer_and_a_near_one_as_now() {
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
    fn a_rest_beyond_all_time_never_ends() {
        assert_eq!(rest_left_ms(1, u64::MAX, u64::MAX), 1);
        assert_eq!(rest_left_ms(u64::MAX, u64::MAX, 0), u64::MAX);
    }
}

//! The durations of an auction.

/// The seconds of a day.
pub(crate) const DAY_S: u64 = 24 * 60 * 60;

/// The longest duration of an auction when it is opened: 30 days.
pub(crate) const LASTS_S_MAX: u64 = 30 * DAY_S;

/// The seconds from the opening to the last possible end, however late bids extend the auction.
pub(crate) const LAST_END_S: u64 = LASTS_S_MAX + DAY_S;

/// The seconds after the end for which a blocked settlement is tried again: a week.
pub(crate) const TRIED_S: u64 = 7 * DAY_S;

/// The lifetime of the holds of lots and bids, as in the manifest: 60 days. It is three weeks longer than the
/// longest auction with its settlement, in case no server runs meanwhile.
pub(crate) const HELD_S: u64 = 60 * DAY_S;

/// The longest pause between two runs of the settlement.
pub(crate) const QUIET_S: u64 = DAY_S;

/// The seconds before a blocked settlement is tried again. They double with each attempt, up to a day.
pub(crate) const TRY_AGAIN_S: u64 = 60;

/// Returns the time that is `seconds` after `now_ms`, in milliseconds.
pub(crate) fn after(now_ms: u64, seconds: u64) -> u64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_outlive_the_settlement() {
        const { assert!(LAST_END_S + TRIED_S + DAY_S < HELD_S) };
    }
}

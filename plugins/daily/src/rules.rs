//! The rules of the reward: plain functions, without the host.

use bursar_plugin::prelude::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Minutes between UTC and the clocks of members, at most.
const OFFSET_MIN_MAX: i32 = 14 * 60;

/// What a day is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Mode {
    // Texts of their own would keep them from being an `enum` in the schema.
    #[default]
    Calendar,
    Rolling,
}

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is given.
    pub(crate) asset: Asset,
    /// How much on the first day.
    amount: Amount,
    /// How much more with each further day in a row; none where absent.
    #[serde(default)]
    streak_bonus: u64,
    /// Up to how many days in a row count; 7 where absent.
    #[serde(default = "week")]
    streak_max: u32,
    /// Days that may be left out without losing the streak; none where absent.
    #[serde(default)]
    grace_days: u32,
    /// `calendar`: once a day of the calendar. `rolling`: once in 24 hours.
    #[serde(default)]
    mode: Mode,
    /// Minutes by which the members' clocks are ahead of UTC, for the calendar: −840 to 840. It does
    /// not change with the season.
    #[serde(default)]
    #[schemars(range(min = -840, max = 840))]
    utc_offset_min: i32,
    /// Whether the reward is issued, which takes the grant to debit the issuer, rather than paid from
    /// the plugin's own account.
    #[serde(default)]
    issue: bool,
}

fn week() -> u32 {
    7
}

/// What is remembered of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct History {
    last_ms: u64,
    streak: u32,
}

impl History {
    /// Days in a row, this one among them.
    pub(crate) fn streak(self) -> u32 {
        self.streak
    }
}

/// Where that is kept.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::name_key(format!("m/{member}"))
}

/// What was given.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Claimed {
    /// How much.
    pub(crate) amount: Amount,
    /// Days in a row, this one among them.
    pub(crate) streak: u32,
}

impl Config {
    /// Whether the reward is issued.
    pub(crate) fn issues(&self) -> bool {
        self.issue
    }

    /// What is given on so many days in a row.
    pub(crate) fn reward(&self, streak: u32) -> Result<Amount, Decline> {
        let days = u64::from(streak.min(self.streak_max.max(1)).saturating_sub(1));
        let more = days.checked_mul(self.streak_bonus);
        let sum = more.and_then(|more| self.amount.get().checked_add(more));
        let beyond = || Decline::new("misconfigured", "The reward is more than there can be.");
        sum.and_then(Amount::new).ok_or_else(beyond)
    }

    /// The history after a claim, if one is due; otherwise when the next is.
    pub(crate) fn next(&self, before: Option<History>, now_ms: u64) -> Result<History, Decline> {
        if self.utc_offset_min.abs() > OFFSET_MIN_MAX {
            let message = format!("Clocks are at most {OFFSET_MIN_MAX} minutes from UTC.");
            return Err(Decline::new("misconfigured", message));
        }
        let first = History {
            last_ms: now_ms,
            streak: 1,
        };
        let Some(before) = before else {
            return Ok(first);
        };
        let (passed, again_ms) = match self.mode {
            Mode::Calendar => {
                let (then, now) = (self.day(before.last_ms), self.day(now_ms));
                (
                    now.saturating_sub(then),
                    self.starts_ms(then.saturating_add(1)),
                )
            }
            Mode::Rolling => {
                let passed = now_ms.saturating_sub(before.last_ms) / DAY_MS;
                (passed, before.last_ms.saturating_add(DAY_MS))
            }
        };
        if passed == 0 {
            let message = format!("You had it already. The next is there at {again_ms} ms.");
            return Err(Decline::new("already_claimed", message));
        }
        let kept = passed <= u64::from(self.grace_days).saturating_add(1);
        let streak = if kept {
            before.streak.saturating_add(1)
        } else {
            1
        };
        Ok(History { streak, ..first })
    }

    /// Which day of the members' calendar a moment is in.
    fn day(&self, moment_ms: u64) -> u64 {
        let ahead = i64::from(self.utc_offset_min) * 60_000;
        moment_ms.saturating_add_signed(ahead) / DAY_MS
    }

    /// When a day of the members' calendar begins.
    fn starts_ms(&self, day: u64) -> u64 {
        let ahead = i64::from(self.utc_offset_min) * 60_000;
        day.saturating_mul(DAY_MS).saturating_add_signed(-ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\", \"amount\": 100{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    /// Claims at these hours, and says the streaks; 0 where it was declined.
    fn streaks(config: &Config, hours: &[u64]) -> Vec<u32> {
        let mut before = None;
        let claims = hours
            .iter()
            .map(|hour| match config.next(before, hour * HOUR_MS) {
                Ok(history) => {
                    before = Some(history);
                    history.streak()
                }
                Err(decline) => {
                    assert_eq!(decline.code(), "already_claimed");
                    0
                }
            });
        claims.collect()
    }

    #[test]
    fn a_day_of_the_calendar_has_one_reward() {
        assert_eq!(
            streaks(&config(""), &[23, 23, 24, 47, 48, 96]),
            [1, 0, 2, 0, 3, 1]
        );
        // Two hours ahead of UTC the day changes two hours earlier.
        let ahead = config(", \"utc_offset_min\": 120");
        assert_eq!(streaks(&ahead, &[21, 22, 23, 46]), [1, 2, 0, 3]);
        let behind = config(", \"utc_offset_min\": -120");
        assert_eq!(streaks(&behind, &[24, 25, 26]), [1, 0, 2]);
    }

    #[test]
    fn a_rolling_day_has_24_hours() {
        let rolling = config(", \"mode\": \"rolling\"");
        assert_eq!(
            streaks(&rolling, &[5, 28, 29, 52, 53, 101]),
            [1, 0, 2, 0, 3, 1]
        );
    }

    #[test]
    fn days_of_grace_keep_the_streak_and_one_more_does_not() {
        let grace = config(", \"grace_days\": 2");
        assert_eq!(streaks(&grace, &[0, 24 * 3, 24 * 6, 24 * 10]), [1, 2, 3, 1]);
    }

    #[test]
    fn the_reward_grows_with_the_streak_up_to_its_maximum() {
        let config = config(", \"streak_bonus\": 10, \"streak_max\": 3");
        let rewards = [1, 2, 3, 4].map(|streak| config.reward(streak).expect("a reward").get());
        assert_eq!(rewards, [100, 110, 120, 120]);
    }

    #[test]
    fn who_asks_too_early_is_told_when() {
        let config = config("");
        let first = config.next(None, 5 * HOUR_MS).expect("the first");
        let early = config
            .next(Some(first), 23 * HOUR_MS)
            .expect_err("too early");
        assert!(
            early.message().contains(&(24 * HOUR_MS).to_string()),
            "{}",
            early.message()
        );
    }

    #[test]
    fn what_cannot_be_is_the_operators_mistake() {
        let far = config(", \"utc_offset_min\": 841");
        assert_eq!(
            far.next(None, 0).expect_err("too far").code(),
            "misconfigured"
        );
        let much = config(", \"streak_bonus\": 9007199254740991");
        assert_eq!(
            much.reward(2).expect_err("too much").code(),
            "misconfigured"
        );
    }
    #[test]
    fn names_are_kept_up_to_the_length_of_a_key() {
        let member = |last: usize| {
            let name = format!("{}:{}", "a".repeat(64), "b".repeat(last));
            name.parse::<Account>().expect("a name")
        };
        assert!(key(&member(61)).is_ok());
        let long = key(&member(62)).expect_err("too long");
        assert_eq!(long.code(), "name_too_long");
    }
}

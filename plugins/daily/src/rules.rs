//! The rules of the reward: plain functions, without the host.

use bursar_plugin::is_far_ahead;
use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::{Value, json};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The one asset that can be issued: the manifest asks for its issuer. A permission names accounts, and
/// nobody can ask for that of an asset which is chosen only with the configuration.
pub(crate) const ISSUED: Asset = Asset::new("coin");

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
// Whoever configures it is told so at once, and not each member with each claim.
#[schemars(extend("if" = of_another_asset(), "then" = is_not_issued()))]
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
    /// Where the members' calendar is, as in the IANA database: `Europe/Berlin`. Its days are as long as
    /// they are there, also when clocks change. The database is this version's own.
    time_zone: Option<String>,
    /// Instead of a time zone, minutes by which the members' clocks are ahead of UTC: −840 to 840. It
    /// does not change with the season; 0 where absent.
    #[schemars(range(min = -840, max = 840))]
    utc_offset_min: Option<i32>,
    /// Whether the reward is issued, which takes the grant to debit `issuer:coin`, rather than paid from
    /// the plugin's own account. Only `coin` can be: a reward in another asset is always paid.
    #[serde(default)]
    issue: bool,
}

fn of_another_asset() -> Value {
    json!({"properties": {"asset": {"not": {"const": ISSUED.as_str()}}}})
}

fn is_not_issued() -> Value {
    json!({"properties": {"issue": {"const": false}}})
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
    bursar_plugin::member_key("m", member)
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
    /// Reports a calendar that is none and rewards that cannot be, and the purse that the largest takes.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(no_zone) = self.zone() {
            let pointer = match self.utc_offset_min {
                Some(_) => "/utc_offset_min",
                None => "/time_zone",
            };
            report.finding(pointer, no_zone.message());
        }
        if self.issue && self.asset != ISSUED {
            report.finding("/issue", format!("only {ISSUED} can be issued"));
        }
        match self.reward(self.streak_max) {
            Ok(largest) if !self.issue => {
                report.need(&report.own_account(), &self.asset, largest);
            }
            Ok(_) => {}
            Err(too_large) => report.finding("/streak_bonus", too_large.message()),
        }
    }

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
        let zone = self.zone()?;
        let first = History {
            last_ms: now_ms,
            streak: 1,
        };
        let Some(before) = before else {
            return Ok(first);
        };
        if is_far_ahead(before.last_ms, DAY_MS, now_ms) {
            // The clock was ahead when it was given: which day that was nobody knows.
            let streak = before.streak;
            return Ok(History { streak, ..first });
        }
        let (passed, again_ms) = match self.mode {
            Mode::Calendar => {
                let (then, now) = (day(&zone, before.last_ms)?, day(&zone, now_ms)?);
                let passed = then.until(now).map_or(0, |span| span.get_days());
                // A clock that was set back is no further day.
                let passed = u64::try_from(passed).unwrap_or(0);
                (passed, next_starts_ms(&zone, then)?)
            }
            Mode::Rolling => {
                let passed = now_ms.saturating_sub(before.last_ms) / DAY_MS;
                (passed, before.last_ms.saturating_add(DAY_MS))
            }
        };
        if passed == 0 {
            return Err(already_claimed(again_ms.saturating_sub(now_ms)));
        }
        let kept = passed <= u64::from(self.grace_days).saturating_add(1);
        let streak = if kept {
            before.streak.saturating_add(1)
        } else {
            1
        };
        Ok(History { streak, ..first })
    }

    /// The members' clocks.
    fn zone(&self) -> Result<TimeZone, Decline> {
        let misconfigured = |message: String| Decline::new("misconfigured", message);
        match (&self.time_zone, self.utc_offset_min) {
            (Some(_), Some(_)) => {
                let message = "A calendar has a time zone or an offset, not both.";
                Err(misconfigured(message.into()))
            }
            (Some(name), None) => {
                let unknown = |_| misconfigured(format!("There is no time zone `{name}`."));
                TimeZoneDatabase::bundled().get(name).map_err(unknown)
            }
            (None, offset) => {
                let offset = offset.unwrap_or(0);
                if offset.abs() > OFFSET_MIN_MAX {
                    let message = format!("Clocks are at most {OFFSET_MIN_MAX} minutes from UTC.");
                    return Err(misconfigured(message));
                }
                let too_far = |_| misconfigured("No clock is so far from UTC.".into());
                let offset = Offset::from_seconds(offset * 60).map_err(too_far)?;
                Ok(TimeZone::fixed(offset))
            }
        }
    }
}

/// Which day of the members' calendar a moment is in.
fn day(zone: &TimeZone, moment_ms: u64) -> Result<Date, Decline> {
    let moment = i64::try_from(moment_ms).map_err(|_| no_such_day())?;
    let moment = Timestamp::from_millisecond(moment).map_err(|_| no_such_day())?;
    Ok(zone.to_datetime(moment).date())
}

/// When the day after one begins: at midnight, or when the clocks are set forward over it.
fn next_starts_ms(zone: &TimeZone, day: Date) -> Result<u64, Decline> {
    let next = day.tomorrow().map_err(|_| no_such_day())?;
    let starts = zone.to_timestamp(next.at(0, 0, 0, 0));
    let starts_ms = starts.map_err(|_| no_such_day())?.as_millisecond();
    u64::try_from(starts_ms).map_err(|_| no_such_day())
}

/// The reward of the day is taken; another one is there after a wait.
fn already_claimed(wait_ms: u64) -> Decline {
    let wait = in_words(wait_ms);
    let message = format!("You had it already. Come back in {wait}.");
    Decline::new("already_claimed", message)
}

/// How long a wait is: never less than it takes, and no finer than a member can use.
fn in_words(wait_ms: u64) -> String {
    let seconds = wait_ms.div_ceil(1000);
    let minutes = seconds.div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, 0 | 1) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn no_such_day() -> Decline {
    Decline::new("misconfigured", "The clock is beyond every calendar.")
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
    fn a_reward_that_was_given_by_a_clock_far_ahead_keeps_nobody_from_the_next() {
        for mode in ["calendar", "rolling"] {
            let config = config(&format!(", \"mode\": \"{mode}\""));
            let year = 365 * 24;
            assert_eq!(
                streaks(&config, &[year, 10, 11, 34]),
                [1, 1, 0, 2],
                "{mode}"
            );
            assert_eq!(
                streaks(&config, &[34, 10, 58]),
                [1, 0, 2],
                "{mode}: a day counts"
            );
        }
    }

    /// Clocks in Berlin were set forward at 1:00 UTC on 2026-03-29, and back on 2026-10-25.
    #[test]
    fn days_are_as_long_as_they_are_where_the_members_live() {
        let berlin = config(", \"time_zone\": \"Europe/Berlin\"");
        let hour = |text: &str| {
            let moment: Timestamp = text.parse().expect("a moment");
            u64::try_from(moment.as_second()).expect("it is after 1970") / 3600
        };
        let spring = [
            "2026-03-28T22:00Z",
            "2026-03-28T23:00Z",
            "2026-03-29T21:00Z",
            "2026-03-29T22:00Z",
        ];
        assert_eq!(streaks(&berlin, &spring.map(hour)), [1, 2, 0, 3]);
        let autumn = [
            "2026-10-24T21:00Z",
            "2026-10-24T22:00Z",
            "2026-10-25T22:00Z",
            "2026-10-25T23:00Z",
        ];
        assert_eq!(streaks(&berlin, &autumn.map(hour)), [1, 2, 0, 3]);
        let first = berlin
            .next(None, hour("2026-03-28T23:00Z") * HOUR_MS)
            .expect("the first");
        let early = berlin
            .next(Some(first), first.last_ms)
            .expect_err("too early");
        assert_eq!(
            early.message(),
            "You had it already. Come back in 23 h.",
            "the day has no more"
        );
    }

    fn report(more: &str) -> ConfigReport {
        let mut report = ConfigReport::new("bonus");
        config(more).check_configuration(&mut report);
        report
    }

    #[test]
    fn what_would_be_wrong_with_each_claim_is_found() {
        let wrong = [
            (", \"time_zone\": \"Europe/Berln\"", "/time_zone"),
            (
                ", \"time_zone\": \"Europe/Berlin\", \"utc_offset_min\": 60",
                "/utc_offset_min",
            ),
            (", \"utc_offset_min\": 841", "/utc_offset_min"),
            (", \"streak_bonus\": 9007199254740991", "/streak_bonus"),
        ];
        for (more, pointer) in wrong {
            let [finding] = <[_; 1]>::try_from(report(more).findings).expect("one finding");
            assert_eq!(finding.pointer, pointer);
        }
        let gem = r#"{"asset": "gem", "amount": 1, "issue": true}"#;
        let gem: Config = serde_json::from_str(gem).expect("a configuration");
        let mut report = ConfigReport::new("bonus");
        gem.check_configuration(&mut report);
        assert_eq!(report.findings[0].pointer, "/issue");
    }

    #[test]
    fn a_reward_that_is_paid_needs_the_largest_one() {
        let seventh = report(", \"streak_bonus\": 10");
        assert_eq!(seventh.findings, []);
        let [need] = <[_; 1]>::try_from(seventh.needs).expect("one need");
        let said = (&*need.account, &*need.asset, need.at_least);
        assert_eq!(said, ("plugin:bonus", "coin", 160));
        let issued = report(", \"issue\": true");
        assert_eq!((issued.findings, issued.needs), (vec![], vec![]));
    }

    #[test]
    fn a_calendar_has_one_clock_that_is_there() {
        for wrong in [
            ", \"time_zone\": \"Europe/Entenhausen\"",
            ", \"time_zone\": \"Europe/Berlin\", \"utc_offset_min\": 60",
        ] {
            let declined = config(wrong).next(None, 0).expect_err("misconfigured");
            assert_eq!(declined.code(), "misconfigured");
        }
        let edge = config(", \"utc_offset_min\": -840");
        assert_eq!(streaks(&edge, &[14, 37, 38]), [1, 0, 2]);
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
    fn who_asks_too_early_is_told_how_long_to_wait() {
        let told = |mode: &str, at_ms: u64| {
            let config = config(mode);
            let first = config.next(None, 5 * HOUR_MS).expect("the first");
            let early = config.next(Some(first), at_ms).expect_err("too early");
            early.message().to_owned()
        };
        assert_eq!(
            told("", 23 * HOUR_MS),
            "You had it already. Come back in 1 h."
        );
        assert_eq!(
            told(r#", "mode": "rolling""#, 5 * HOUR_MS + 1),
            "You had it already. Come back in 24 h."
        );
    }

    #[test]
    fn a_wait_is_never_told_shorter_than_it_is() {
        let hour = 3_600_000;
        let waits = [
            (1, "1 s"),
            (1_001, "2 s"),
            (60_000, "60 s"),
            (60_001, "2 min"),
            (hour - 60_000, "59 min"),
            (hour - 59_999, "1 h"),
            (hour, "1 h"),
            (hour + 1, "1 h 1 min"),
            (23 * hour + 59 * 60_000, "23 h 59 min"),
            (24 * hour, "24 h"),
        ];
        for (wait_ms, words) in waits {
            assert_eq!(in_words(wait_ms), words);
        }
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
}

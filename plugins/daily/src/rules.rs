//! The rules of the daily reward, without the host.

use bursar_plugin::is_far_ahead;
use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::{Value, json};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// The milliseconds of 24 hours.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The only asset that can be issued. The manifest requests to debit its issuer; a manifest cannot request the
/// issuer of an asset that is chosen later in the configuration.
pub(crate) const ISSUED: Asset = Asset::new("coin");

/// The largest offset of the members' clocks from UTC, in minutes.
const OFFSET_MIN_MAX: i32 = 14 * 60;

/// The definition of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum DayMode {
    // No doc comments on the variants: schemars would then not write them as an `enum`.
    #[default]
    Calendar,
    Rolling,
}

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// The schema rejects a wrong configuration at once, instead of each claim of a member.
#[schemars(extend("if" = asset_cannot_be_issued(), "then" = is_not_issued()))]
pub(crate) struct Config {
    /// The asset of the reward.
    pub(crate) asset: Asset,
    /// The reward on the first day.
    amount: Amount,
    /// The increase with each further consecutive day; 0 if absent.
    #[serde(default)]
    streak_bonus: u64,
    /// The largest number of consecutive days that count; 7 if absent.
    #[serde(default = "week")]
    streak_max: u32,
    /// The number of days that a member may miss without losing the streak; 0 if absent.
    #[serde(default)]
    grace_days: u32,
    /// `calendar`: once each calendar day. `rolling`: once in 24 hours.
    #[serde(default)]
    mode: DayMode,
    /// The time zone of the members' calendar in the IANA database, such as `Europe/Berlin`. Days are longer or
    /// shorter there when clocks change. The database is part of this version of the plugin.
    time_zone: Option<String>,
    /// In place of a time zone, the minutes by which the members' clocks are ahead of UTC: −840 to 840. It does
    /// not change with the season; 0 if absent.
    #[schemars(range(min = -840, max = 840))]
    utc_offset_min: Option<i32>,
    /// `true` issues the reward, which needs the permission to debit `issuer:coin`; otherwise the plugin's own
    /// account pays it. Only `coin` can be issued.
    #[serde(default)]
    issue: bool,
}

fn asset_cannot_be_issued() -> Value {
    json!({"properties": {"asset": {"not": {"const": ISSUED.as_str()}}}})
}

fn is_not_issued() -> Value {
    json!({"properties": {"issue": {"const": false}}})
}

fn week() -> u32 {
    7
}

/// The last claim of a member and the length of the streak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ClaimHistory {
    last_ms: u64,
    streak: u32,
}

impl ClaimHistory {
    /// Returns the number of consecutive days, including the last claim.
    pub(crate) fn streak(self) -> u32 {
        self.streak
    }
}

/// Returns the key of a member's history.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::member_key("m", member)
}

/// The reply to `claim`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClaimReply {
    /// The amount of the reward.
    pub(crate) amount: Amount,
    /// The number of consecutive days, including this one.
    pub(crate) streak: u32,
}

impl Config {
    /// Reports an invalid calendar and invalid rewards, and the balance that the largest reward needs.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(invalid) = self.zone() {
            let pointer = match self.utc_offset_min {
                Some(_) => "/utc_offset_min",
                None => "/time_zone",
            };
            report.finding(pointer, invalid.message());
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

    /// Returns true if the reward is issued.
    pub(crate) fn issues(&self) -> bool {
        self.issue
    }

    /// Returns the reward on a consecutive day.
    pub(crate) fn reward(&self, streak: u32) -> Result<Amount, Decline> {
        let days = u64::from(streak.min(self.streak_max.max(1)).saturating_sub(1));
        let more = days.checked_mul(self.streak_bonus);
        let sum = more.and_then(|more| self.amount.get().checked_add(more));
        let beyond = || {
            Decline::new(
                "misconfigured",
                "The reward is larger than the largest amount.",
            )
        };
        sum.and_then(Amount::new).ok_or_else(beyond)
    }

    /// Returns the history after a claim, or declines a claim that is too early.
    pub(crate) fn next(
        &self,
        previous: Option<ClaimHistory>,
        now_ms: u64,
    ) -> Result<ClaimHistory, Decline> {
        let zone = self.zone()?;
        let first = ClaimHistory {
            last_ms: now_ms,
            streak: 1,
        };
        let Some(previous) = previous else {
            return Ok(first);
        };
        if is_far_ahead(previous.last_ms, DAY_MS, now_ms) {
            // The clock was ahead at the last claim, so its day is unknown. The streak is kept.
            let streak = previous.streak;
            return Ok(ClaimHistory { streak, ..first });
        }
        let (passed, again_ms) = match self.mode {
            DayMode::Calendar => {
                let last = day(&zone, previous.last_ms)?;
                let now = day(&zone, now_ms)?;
                let passed = last.until(now).map_or(0, |span| span.get_days());
                // The number is negative after a clock was set back. It then counts as zero days.
                let passed = u64::try_from(passed).unwrap_or(0);
                (passed, next_day_ms(&zone, last)?)
            }
            DayMode::Rolling => {
                let passed = now_ms.saturating_sub(previous.last_ms) / DAY_MS;
                (passed, previous.last_ms.saturating_add(DAY_MS))
            }
        };
        if passed == 0 {
            return Err(already_claimed(again_ms.saturating_sub(now_ms)));
        }
        let continues = passed <= u64::from(self.grace_days).saturating_add(1);
        let streak = if continues {
            previous.streak.saturating_add(1)
        } else {
            1
        };
        Ok(ClaimHistory { streak, ..first })
    }

    /// Returns the time zone of the members' clocks.
    fn zone(&self) -> Result<TimeZone, Decline> {
        let misconfigured = |message: String| Decline::new("misconfigured", message);
        match (&self.time_zone, self.utc_offset_min) {
            (Some(_), Some(_)) => {
                let message = "Set a time zone or an offset, not both.";
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
                let too_far = |_| misconfigured("The offset from UTC is too large.".into());
                let offset = Offset::from_seconds(offset * 60).map_err(too_far)?;
                Ok(TimeZone::fixed(offset))
            }
        }
    }
}

/// Returns the day of a time in the members' calendar.
fn day(zone: &TimeZone, time_ms: u64) -> Result<Date, Decline> {
    let time = i64::try_from(time_ms).map_err(|_| invalid_day())?;
    let time = Timestamp::from_millisecond(time).map_err(|_| invalid_day())?;
    Ok(zone.to_datetime(time).date())
}

/// Returns the start of the day after a day: midnight, or the time to which clocks are set forward over it.
fn next_day_ms(zone: &TimeZone, day: Date) -> Result<u64, Decline> {
    let next = day.tomorrow().map_err(|_| invalid_day())?;
    let starts = zone.to_timestamp(next.at(0, 0, 0, 0));
    let starts_ms = starts.map_err(|_| invalid_day())?.as_millisecond();
    u64::try_from(starts_ms).map_err(|_| invalid_day())
}

/// Declines a second claim of a day, with the time until the next one.
fn already_claimed(wait_ms: u64) -> Decline {
    let wait = in_words(wait_ms);
    let message = format!("You have already claimed your reward. Come back in {wait}.");
    Decline::new("already_claimed", message)
}

/// Formats a duration for members, rounded up to seconds or minutes.
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

/// Declines a time outside the calendar.
fn invalid_day() -> Decline {
    Decline::new("misconfigured", "The time is outside the calendar.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\", \"amount\": 100{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    /// Returns the streaks of claims at these hours; 0 for a declined claim.
    fn streaks(config: &Config, hours: &[u64]) -> Vec<u32> {
        let mut previous = None;
        let claims = hours
            .iter()
            .map(|hour| match config.next(previous, hour * HOUR_MS) {
                Ok(history) => {
                    previous = Some(history);
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
    fn a_reward_from_a_clock_far_ahead_does_not_block_the_next() {
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
    fn days_follow_the_time_zone_of_the_members() {
        let berlin = config(", \"time_zone\": \"Europe/Berlin\"");
        let hour = |text: &str| {
            let time: Timestamp = text.parse().expect("a time");
            u64::try_from(time.as_second()).expect("it is after 1970") / 3600
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
            "You have already claimed your reward. Come back in 23 h.",
            "the day has 23 hours"
        );
    }

    fn report(more: &str) -> ConfigReport {
        let mut report = ConfigReport::new("bonus");
        config(more).check_configuration(&mut report);
        report
    }

    #[test]
    fn errors_that_would_fail_each_claim_are_reported() {
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
    fn a_paid_reward_needs_the_balance_of_the_largest() {
        let seventh = report(", \"streak_bonus\": 10");
        assert_eq!(seventh.findings, []);
        let [need] = <[_; 1]>::try_from(seventh.needs).expect("one need");
        let need = (&*need.account, &*need.asset, need.at_least);
        assert_eq!(need, ("plugin:bonus", "coin", 160));
        let issued = report(", \"issue\": true");
        assert_eq!((issued.findings, issued.needs), (vec![], vec![]));
    }

    #[test]
    fn a_calendar_has_one_valid_clock() {
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
    fn an_early_claim_is_declined_with_the_time_to_wait() {
        let message = |mode: &str, at_ms: u64| {
            let config = config(mode);
            let first = config.next(None, 5 * HOUR_MS).expect("the first");
            let early = config.next(Some(first), at_ms).expect_err("too early");
            early.message().to_owned()
        };
        assert_eq!(
            message("", 23 * HOUR_MS),
            "You have already claimed your reward. Come back in 1 h."
        );
        assert_eq!(
            message(r#", "mode": "rolling""#, 5 * HOUR_MS + 1),
            "You have already claimed your reward. Come back in 24 h."
        );
    }

    #[test]
    fn a_wait_is_rounded_up() {
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
    fn invalid_values_are_declined_as_misconfigured() {
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

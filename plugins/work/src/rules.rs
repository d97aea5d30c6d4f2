//! The rules of paid jobs, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::rest_left_ms;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of the pay.
    pub(crate) asset: Asset,
    /// The smallest pay of a job.
    pay_min: Amount,
    /// The largest pay of a job.
    pay_max: Amount,
    /// The seconds between two jobs of one member.
    cooldown_s: u64,
    /// The names of jobs, from which one is drawn for the reply.
    #[serde(default)]
    // One of them must fit into a reply.
    #[schemars(length(max = 100), inner(length(max = 200)))]
    jobs: Vec<String>,
}

/// The last job of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LastJob {
    last_ms: u64,
}

/// Returns the key of a member's last job.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::member_key("m", member)
}

/// The reply to `work`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WorkReply {
    /// The name of the job; null if the configuration has no names.
    pub(crate) job: Option<String>,
    /// The pay.
    pub(crate) pay: Amount,
}

impl Config {
    /// Reports an invalid range, and the balance that the largest pay needs.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(invalid) = self.range() {
            report.finding("/pay_max", invalid.message());
        }
        report.need(&report.own_account(), &self.asset, self.most());
    }

    /// Starts a job, and declines one within the cooldown.
    pub(crate) fn begin(&self, last: Option<LastJob>, now_ms: u64) -> Result<LastJob, Decline> {
        let rest_ms = self.cooldown_s.saturating_mul(1000);
        let left_ms = last.map(|job| rest_left_ms(job.last_ms, rest_ms, now_ms));
        if let Some(left_ms) = left_ms.filter(|left_ms| *left_ms > 0) {
            let wait_s = left_ms.div_ceil(1000);
            let message = format!("You have worked recently. Come back in {wait_s} s.");
            return Err(Decline::new("too_soon", message));
        }
        Ok(LastJob { last_ms: now_ms })
    }

    /// Returns the number of different pays, and declines an invalid range.
    pub(crate) fn range(&self) -> Result<u32, Decline> {
        let range = self.pay_max.get().checked_sub(self.pay_min.get());
        let range = range.and_then(|range| u32::try_from(range + 1).ok());
        let invalid = || {
            let message = "`pay_max` is at least `pay_min` and less than `pay_min` + 2^32.";
            Decline::new("misconfigured", message)
        };
        range.ok_or_else(invalid)
    }

    /// Returns the largest pay.
    pub(crate) fn most(&self) -> Amount {
        self.pay_max
    }

    /// Returns the pay for a draw below [`range`](Self::range).
    pub(crate) fn pay(&self, drawn: u32) -> Amount {
        let pay = self.pay_min.get().checked_add(u64::from(drawn));
        pay.and_then(Amount::new).unwrap_or(self.pay_max)
    }

    /// Draws the name of a job, if there are any.
    pub(crate) fn job(&self, draw: impl FnOnce(u32) -> u32) -> Option<String> {
        let jobs = u32::try_from(self.jobs.len())
            .ok()
            .filter(|jobs| *jobs > 0)?;
        self.jobs.get(draw(jobs) as usize).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(min: u64, max: u64) -> Config {
        let text = format!(
            r#"{{"asset": "coin", "pay_min": {min}, "pay_max": {max}, "cooldown_s": 60, "jobs": ["dig", "sow"]}}"#
        );
        serde_json::from_str(&text).expect("a configuration")
    }

    #[test]
    fn the_cooldown_ends_on_its_millisecond() {
        let config = config(1, 2);
        let first = config.begin(None, 5_000).expect("the first job");
        let early = config.begin(Some(first), 64_999).expect_err("too soon");
        assert_eq!(
            (early.code(), early.message()),
            ("too_soon", "You have worked recently. Come back in 1 s.")
        );
        assert!(config.begin(Some(first), 65_000).is_ok());
    }

    #[test]
    fn a_time_from_a_wrong_clock_does_not_start_a_cooldown() {
        let config = config(1, 2);
        let year = Some(LastJob {
            last_ms: 31_536_000_000,
        });
        let worked = config.begin(year, 5_000).expect("a job");
        assert!(config.begin(Some(worked), 64_999).is_err());
        assert!(config.begin(Some(worked), 65_000).is_ok());
    }

    #[test]
    fn the_pay_is_in_the_range() {
        let config = config(10, 12);
        assert_eq!(config.range(), Ok(3));
        assert_eq!([0, 1, 2].map(|drawn| config.pay(drawn).get()), [10, 11, 12]);
        assert_eq!(config.most().get(), 12);
    }

    #[test]
    fn ranges_end_at_their_limits() {
        assert_eq!(config(5, 5).range(), Ok(1));
        assert_eq!(config(1, u64::from(u32::MAX)).range(), Ok(u32::MAX));
        let code = |min, max| config(min, max).range().expect_err("no range").code();
        assert_eq!(code(5, 4), "misconfigured");
        assert_eq!(code(1, 1 + u64::from(u32::MAX)), "misconfigured");
    }

    #[test]
    fn an_invalid_range_is_reported() {
        let report = |min, max| {
            let mut report = ConfigReport::new("jobs");
            config(min, max).check_configuration(&mut report);
            report
        };
        for (min, max) in [(5, 4), (1, 1 + u64::from(u32::MAX))] {
            let [finding] = <[_; 1]>::try_from(report(min, max).findings).expect("one finding");
            assert_eq!(finding.pointer, "/pay_max");
        }
        let fine = report(5, 50);
        assert_eq!(fine.findings, []);
        let [need] = <[_; 1]>::try_from(fine.needs).expect("one need");
        let need = (&*need.account, &*need.asset, need.at_least);
        assert_eq!(need, ("plugin:jobs", "coin", 50), "the largest pay");
    }

    #[test]
    fn a_job_is_drawn_from_the_configured_names() {
        assert_eq!(config(1, 2).job(|jobs| jobs - 1), Some("sow".into()));
        let none: Config = serde_json::from_str(
            r#"{"asset": "coin", "pay_min": 1, "pay_max": 2, "cooldown_s": 60}"#,
        )
        .expect("a configuration");
        assert_eq!(none.job(|_| panic!("nothing is drawn")), None);
    }
}

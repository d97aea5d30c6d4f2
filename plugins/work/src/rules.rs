//! The rules of the job: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::rest_left_ms;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is paid.
    pub(crate) asset: Asset,
    /// The least that a job pays.
    pay_min: Amount,
    /// The most that a job pays.
    pay_max: Amount,
    /// Seconds that a member rests between two jobs.
    cooldown_s: u64,
    /// What there is to do; for the reply.
    #[serde(default)]
    // A reply has room for one of them.
    #[schemars(length(max = 100), inner(length(max = 200)))]
    jobs: Vec<String>,
}

/// What is remembered of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Shift {
    last_ms: u64,
}

/// Where that is kept.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::member_key("m", member)
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Worked {
    /// The job, if the configuration names any.
    pub(crate) job: Option<String>,
    /// What it paid.
    pub(crate) pay: Amount,
}

impl Config {
    /// Reports a range without a pay, and the purse that the best pay takes.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(no_range) = self.range() {
            report.finding("/pay_max", no_range.message());
        }
        report.need(&report.own_account(), &self.asset, self.most());
    }

    /// A new job, if the member has rested.
    pub(crate) fn begin(&self, before: Option<Shift>, now_ms: u64) -> Result<Shift, Decline> {
        let rest_ms = self.cooldown_s.saturating_mul(1000);
        let left_ms = before.map(|shift| rest_left_ms(shift.last_ms, rest_ms, now_ms));
        if let Some(left_ms) = left_ms.filter(|left_ms| *left_ms > 0) {
            let wait_s = left_ms.div_ceil(1000);
            let message = format!("You need a rest: come back in {wait_s} s.");
            return Err(Decline::new("too_soon", message));
        }
        Ok(Shift { last_ms: now_ms })
    }

    /// How many different pays there are.
    pub(crate) fn range(&self) -> Result<u32, Decline> {
        let range = self.pay_max.get().checked_sub(self.pay_min.get());
        let range = range.and_then(|range| u32::try_from(range + 1).ok());
        let wrong = || {
            let message = "`pay_max` is at least `pay_min`, and less than 2^32 above it.";
            Decline::new("misconfigured", message)
        };
        range.ok_or_else(wrong)
    }

    /// The most that a job pays.
    pub(crate) fn most(&self) -> Amount {
        self.pay_max
    }

    /// The pay that a draw below [`range`](Self::range) means.
    pub(crate) fn pay(&self, drawn: u32) -> Amount {
        let pay = self.pay_min.get().checked_add(u64::from(drawn));
        pay.and_then(Amount::new).unwrap_or(self.pay_max)
    }

    /// One of the jobs, if there are any.
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
    fn a_rest_ends_to_the_millisecond() {
        let config = config(1, 2);
        let first = config.begin(None, 5_000).expect("the first job");
        let early = config.begin(Some(first), 64_999).expect_err("too soon");
        assert_eq!(
            (early.code(), early.message()),
            ("too_soon", "You need a rest: come back in 1 s.")
        );
        assert!(config.begin(Some(first), 65_000).is_ok());
    }

    #[test]
    fn nobody_rests_until_a_time_that_was_shown_by_mistake() {
        let config = config(1, 2);
        let year = Some(Shift {
            last_ms: 31_536_000_000,
        });
        let worked = config.begin(year, 5_000).expect("a job");
        assert!(config.begin(Some(worked), 64_999).is_err());
        assert!(config.begin(Some(worked), 65_000).is_ok());
    }

    #[test]
    fn pays_are_those_of_the_range() {
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
    fn a_range_without_a_pay_is_found() {
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
        let said = (&*need.account, &*need.asset, need.at_least);
        assert_eq!(said, ("plugin:jobs", "coin", 50), "the best pay");
    }

    #[test]
    fn a_job_is_drawn_from_those_there_are() {
        assert_eq!(config(1, 2).job(|jobs| jobs - 1), Some("sow".into()));
        let none: Config = serde_json::from_str(
            r#"{"asset": "coin", "pay_min": 1, "pay_max": 2, "cooldown_s": 60}"#,
        )
        .expect("a configuration");
        assert_eq!(none.job(|_| panic!("nothing is drawn")), None);
    }
}

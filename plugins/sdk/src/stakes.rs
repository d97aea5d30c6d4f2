//! The range of stakes that a game accepts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::config_report::ConfigReport;
use crate::decline::Decline;
use crate::names::Asset;

/// The range of stakes that a game accepts, as a part of its configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stakes {
    /// The smallest stake; 1 if absent.
    pub min: Option<Amount>,
    /// The largest stake. If absent, only the bank limits it.
    pub max: Option<Amount>,
}

impl Stakes {
    /// Checks that a stake is in the range.
    ///
    /// It declines as `stake_too_small` or `stake_too_large`, and as `misconfigured` if the range is empty.
    pub fn check(&self, stake: Amount, asset: &Asset) -> Result<(), Decline> {
        if let (Some(least), Some(most)) = (self.min, self.max)
            && least > most
        {
            let message =
                format!("The configuration is wrong: it allows stakes from {least} to {most}.");
            return Err(Decline::new("misconfigured", message));
        }
        if let Some(least) = self.min.filter(|least| stake < *least) {
            let message = format!("The smallest stake is {least} {asset}.");
            return Err(Decline::new("stake_too_small", message));
        }
        if let Some(most) = self.max.filter(|most| stake > *most) {
            let message = format!("The largest stake is {most} {asset}.");
            return Err(Decline::new("stake_too_large", message));
        }
        Ok(())
    }

    /// Reports an empty range, at the pointer of the largest stake.
    pub fn report(&self, pointer_of_max: &str, report: &mut ConfigReport) {
        if let (Some(least), Some(most)) = (self.min, self.max)
            && least > most
        {
            let message = format!("the largest stake, {most}, is below the smallest, {least}");
            report.finding(pointer_of_max, message);
        }
    }

    /// Returns the smallest stake.
    pub fn smallest(&self) -> Amount {
        self.min.unwrap_or(Amount::ONE)
    }

    /// Returns the stake whose win the bank must cover: the largest stake, or the smallest if there is no largest.
    pub fn to_cover(&self) -> Amount {
        self.max.unwrap_or(self.smallest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stakes_end_at_their_limits() {
        let amount = |units| Amount::new(units).expect("an amount");
        let coin = Asset::new("coin");
        let check = |min: Option<u64>, max: Option<u64>, stake| {
            let min = min.map(amount);
            let max = max.map(amount);
            let result = Stakes { min, max }.check(amount(stake), &coin);
            result.map_err(|decline| decline.code())
        };
        assert_eq!(check(Some(5), Some(9), 4), Err("stake_too_small"));
        assert_eq!(check(Some(5), Some(9), 5), Ok(()));
        assert_eq!(check(Some(5), Some(9), 9), Ok(()));
        assert_eq!(check(Some(5), Some(9), 10), Err("stake_too_large"));
        assert_eq!(check(None, None, 1 << 52), Ok(()));
        assert_eq!(check(Some(5), Some(4), 4), Err("misconfigured"));
    }

    #[test]
    fn an_empty_range_is_reported() {
        let amount = |units| Amount::new(units).expect("an amount");
        let pointers = |min: Option<u64>, max: Option<u64>| {
            let min = min.map(amount);
            let max = max.map(amount);
            let mut report = ConfigReport::new("dice");
            Stakes { min, max }.report("/stakes/max", &mut report);
            let findings = report.findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(Some(5), Some(4)), ["/stakes/max"]);
        for (min, max) in [(Some(5), Some(5)), (Some(5), None), (None, Some(1))] {
            assert_eq!(pointers(min, max), [""; 0]);
        }
    }

    #[test]
    fn the_bank_covers_the_largest_configured_stake() {
        let amount = |units| Amount::new(units).expect("an amount");
        let stakes = |min: Option<u64>, max: Option<u64>| {
            let min = min.map(amount);
            let max = max.map(amount);
            let stakes = Stakes { min, max };
            (stakes.smallest().get(), stakes.to_cover().get())
        };
        assert_eq!(stakes(Some(5), Some(9)), (5, 9));
        assert_eq!(stakes(Some(5), None), (5, 5));
        assert_eq!(stakes(None, None), (1, 1));
    }
}

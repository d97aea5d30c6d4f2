//! The configuration of the auction, and the times that follow from it.

use bursar_plugin::prelude::*;

use crate::arguments::OpenArguments;
use crate::times::{LAST_END_S, LASTS_S_MAX, after};

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of bids. A lot keeps the terms of its opening; a change applies to lots that are opened later.
    pub(crate) asset: Asset,
    /// The smallest difference between a bid and the previous one; 1 if absent.
    #[serde(default = "one")]
    pub(crate) increment: Amount,
    /// The seconds for which an auction continues at least after a bid; none if absent. An auction ends at most
    /// 31 days after its opening.
    #[serde(default)]
    pub(crate) extension_s: u64,
}

fn one() -> Amount {
    Amount::ONE
}

/// The end of an auction without late bids, and its last possible end with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AuctionTimes {
    pub(crate) ends_ms: u64,
    pub(crate) last_end_ms: u64,
}

impl Config {
    /// Reports an extension that is longer than the longest auction.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.extension_s > LASTS_S_MAX {
            let message = format!(
                "the extension is at most {LASTS_S_MAX} s, the longest duration of an auction"
            );
            report.finding("/extension_s", message);
        }
    }

    /// Returns the times of an auction that is opened now.
    pub(crate) fn times(&self, open: &OpenArguments, now_ms: u64) -> Result<AuctionTimes, Decline> {
        if !(1..=LASTS_S_MAX).contains(&open.lasts_s) {
            let message = format!("An auction lasts 1 to {LASTS_S_MAX} s.");
            return Err(Decline::new("lasts_too_long", message));
        }
        if open.asset == self.asset {
            let message = "The asset of bids cannot be auctioned.";
            return Err(Decline::new("same_asset", message));
        }
        Ok(AuctionTimes {
            ends_ms: after(now_ms, open.lasts_s),
            last_end_ms: after(now_ms, LAST_END_S),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> Config {
        let text = r#"{"asset": "coin", "increment": 5, "extension_s": 10}"#;
        serde_json::from_str(text).expect("a configuration")
    }

    /// Returns the arguments of `open` for one unit of an asset.
    pub(crate) fn open(asset: &str, lasts_s: u64) -> OpenArguments {
        let text =
            format!(r#"{{"asset": "{asset}", "amount": 1, "reserve": 100, "lasts_s": {lasts_s}}}"#);
        serde_json::from_str(&text).expect("a lot")
    }

    #[test]
    fn an_extension_that_is_longer_than_the_longest_auction_is_reported() {
        let pointers = |extension_s: u64| {
            let mut report = ConfigReport::new("auction");
            let text = format!(r#"{{"asset": "coin", "extension_s": {extension_s}}}"#);
            let config: Config = serde_json::from_str(&text).expect("a configuration");
            config.check_configuration(&mut report);
            let findings = report.findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(LASTS_S_MAX), [""; 0]);
        assert_eq!(pointers(LASTS_S_MAX + 1), ["/extension_s"]);
    }

    #[test]
    fn auctions_end_at_their_limits() {
        let code = |asset, lasts_s| {
            let times = config().times(&open(asset, lasts_s), 5);
            times
                .map(|times| times.ends_ms)
                .map_err(|decline| decline.code())
        };
        assert_eq!(code("item:sword", LASTS_S_MAX), Ok(5 + LASTS_S_MAX * 1000));
        assert_eq!(code("item:sword", LASTS_S_MAX + 1), Err("lasts_too_long"));
        assert_eq!(code("item:sword", 0), Err("lasts_too_long"));
        assert_eq!(code("coin", 60), Err("same_asset"));
    }
}

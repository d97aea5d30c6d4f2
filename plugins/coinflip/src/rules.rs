//! The rules of the coin flip, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake, Stakes};

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of stakes.
    pub(crate) asset: Asset,
    /// The smallest stake; 1 if absent.
    min_stake: Option<Amount>,
    /// The largest stake. If absent, only the bank limits it.
    max_stake: Option<Amount>,
}

/// A side of the coin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum CoinSide {
    // No doc comments on the variants: schemars would then not write them as an `enum`, from which bots read
    // the choices.
    Heads,
    Tails,
}

/// The arguments of `flip`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flip {
    /// The amount of the stake.
    pub(crate) stake: Amount,
    /// The side to bet on.
    pub(crate) side: CoinSide,
}

/// The reply to `flip`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FlipReply {
    /// The drawn side.
    pub(crate) side: CoinSide,
    /// `true` if the bet has won.
    pub(crate) won: bool,
    /// The payout: twice the stake, or 0.
    pub(crate) paid: u64,
}

impl CoinSide {
    /// Returns the side for a draw of 0 or 1.
    pub(crate) fn of(drawn: u32) -> Self {
        if drawn == 0 { Self::Heads } else { Self::Tails }
    }
}

impl Config {
    fn stakes(&self) -> Stakes {
        Stakes {
            min: self.min_stake,
            max: self.max_stake,
        }
    }

    /// Reports limits that allow no bet, and the balance that the largest stake needs.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        let stakes = self.stakes();
        stakes.report("/max_stake", report);
        if stakes.smallest().checked_mul(2).is_err() {
            report.finding(
                "/min_stake",
                "twice the smallest stake exceeds the largest amount",
            );
        }
        // The stake is in the bank before the draw, so the bank needs one stake to pay two.
        report.need(&report.own_account(), &self.asset, stakes.to_cover());
    }

    /// Returns the payout of a win. Declines a stake outside the limits.
    pub(crate) fn payout(&self, stake: Amount) -> Result<Amount, Decline> {
        self.stakes().check(stake, &self.asset)?;
        let too_large = |_| {
            Decline::new(
                "stake_too_large",
                "Twice that stake exceeds the largest amount.",
            )
        };
        stake.checked_mul(2).map_err(too_large)
    }
}

/// Returns the stated odds of a flip.
pub(crate) fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "flip",
        description: "Either side, double or nothing.",
        arguments: json!({"stake": 10, "side": "heads"}),
        config: json!({"asset": "coin"}),
        stake: Stake {
            asset: "coin",
            amount: 10,
        },
        returns_ppm: 1_000_000,
        follow: None,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payout(stake: u64) -> Result<u64, String> {
        let config = r#"{"asset": "coin", "min_stake": 5, "max_stake": 100}"#;
        let config: Config = serde_json::from_str(config).expect("a configuration");
        let stake = Amount::new(stake).expect("an amount");
        config
            .payout(stake)
            .map(Amount::get)
            .map_err(|decline| decline.code().into())
    }

    #[test]
    fn stakes_end_at_their_limits() {
        assert_eq!(payout(4), Err("stake_too_small".into()));
        assert_eq!(payout(5), Ok(10));
        assert_eq!(payout(100), Ok(200));
        assert_eq!(payout(101), Err("stake_too_large".into()));
    }

    #[test]
    fn a_stake_that_cannot_be_doubled_is_too_large() {
        let config: Config = serde_json::from_str(r#"{"asset": "coin"}"#).expect("a configuration");
        let half = Amount::new((1 << 52) - 1).expect("an amount");
        assert!(config.payout(half).is_ok());
        let more = Amount::new(1 << 52).expect("an amount");
        assert_eq!(
            config.payout(more).expect_err("too large").code(),
            "stake_too_large"
        );
    }

    #[test]
    fn an_empty_range_of_stakes_is_declined_as_misconfigured() {
        let payout = |most: u64| {
            let text = format!(r#"{{"asset": "coin", "min_stake": 5, "max_stake": {most}}}"#);
            let config: Config = serde_json::from_str(&text).expect("a configuration");
            config.payout(Amount::new(5).expect("an amount"))
        };
        assert!(payout(5).is_ok());
        assert_eq!(
            payout(4).expect_err("no stake fits").code(),
            "misconfigured"
        );
    }

    fn report(config: &str) -> ConfigReport {
        let config: Config = serde_json::from_str(config).expect("a configuration");
        let mut report = ConfigReport::new("flip");
        config.check_configuration(&mut report);
        report
    }

    #[test]
    fn limits_that_allow_no_bet_are_reported() {
        let pointers = |config: &str| {
            let findings = report(config).findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        let crossed = r#"{"asset": "coin", "min_stake": 5, "max_stake": 4}"#;
        assert_eq!(pointers(crossed), ["/max_stake"]);
        let beyond = r#"{"asset": "coin", "min_stake": 4503599627370496}"#;
        assert_eq!(pointers(beyond), ["/min_stake"]);
        let last = r#"{"asset": "coin", "min_stake": 4503599627370495}"#;
        assert_eq!(pointers(last), [""; 0]);
    }

    #[test]
    fn the_bank_needs_the_largest_stake() {
        for (config, at_least) in [
            (r#"{"asset": "gem", "min_stake": 5, "max_stake": 50}"#, 50),
            (r#"{"asset": "gem", "min_stake": 5}"#, 5),
            (r#"{"asset": "gem"}"#, 1),
        ] {
            let [need] = <[_; 1]>::try_from(report(config).needs).expect("one need");
            let need = (&*need.account, &*need.asset, need.at_least);
            assert_eq!(need, ("plugin:flip", "gem", at_least));
        }
    }

    /// The average payout over both sides equals the stated return.
    #[test]
    fn the_stated_odds_follow_from_the_rules() {
        for odds in odds() {
            let config: Config = serde_json::from_value(odds.config).expect("a configuration");
            let flip: Flip = serde_json::from_value(odds.arguments).expect("a bet");
            let payout = config.payout(flip.stake).expect("a payout").get();
            let won = [0, 1]
                .iter()
                .filter(|drawn| CoinSide::of(**drawn) == flip.side);
            let returned = won.count() as u64 * payout;
            assert_eq!(
                returned * 1_000_000 / (2 * odds.stake.amount),
                odds.returns_ppm
            );
        }
    }

    #[test]
    fn each_draw_is_one_side() {
        assert_eq!(
            [CoinSide::of(0), CoinSide::of(1)],
            [CoinSide::Heads, CoinSide::Tails]
        );
    }

    #[test]
    fn the_schema_lists_the_sides() {
        let flip = serde_json::to_value(schemars::schema_for!(Flip)).expect("JSON");
        let side = &flip["properties"]["side"]["enum"];
        assert_eq!(*side, serde_json::json!(["heads", "tails"]));
    }
}

//! The rules of the die, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake, Stakes};

/// The number of faces of the die.
pub(crate) const FACES: u32 = 100;

/// The largest house edge, in thousandths.
const EDGE_MAX: u16 = 200;

/// The smallest number of a bet.
const UNDER_MIN: u32 = 2;

/// The largest number of a bet.
const UNDER_MAX: u32 = 98;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of stakes.
    pub(crate) asset: Asset,
    /// The house edge: the average part of a stake that the bank keeps, in thousandths: 0 to 200, 10 if absent.
    #[serde(default = "edge")]
    #[schemars(range(min = 0, max = 200))]
    edge_permille: u16,
    /// The range of stakes.
    #[serde(default)]
    stakes: Stakes,
}

fn edge() -> u16 {
    10
}

/// The number of a bet: 2 to 98.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(inline)]
pub(crate) struct Under(u32);

impl Under {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Under {
    type Error = &'static str;

    fn try_from(under: u32) -> Result<Self, Self::Error> {
        if (UNDER_MIN..=UNDER_MAX).contains(&under) {
            Ok(Self(under))
        } else {
            Err("`under` is 2 to 98")
        }
    }
}

/// The arguments of `roll`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roll {
    /// The amount of the stake.
    pub(crate) stake: Amount,
    /// The number of the bet, 2 to 98. A drawn number below it wins.
    #[schemars(range(min = 2, max = 98))]
    pub(crate) under: Under,
}

/// The reply to `roll`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RollReply {
    /// The drawn number, 0 to 99.
    pub(crate) number: u32,
    /// `true` if the bet has won.
    pub(crate) won: bool,
    /// The payout, or 0.
    pub(crate) paid: u64,
}

impl Config {
    /// Reports limits that allow no bet, and the balance that the largest stake needs at the longest odds.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.edge_permille > EDGE_MAX {
            let message = format!("the house edge is at most {EDGE_MAX} thousandths");
            report.finding("/edge_permille", message);
            return;
        }
        self.stakes.report("/stakes/max", report);
        if self.win(self.stakes.smallest(), UNDER_MAX).is_none() {
            report.finding(
                "/stakes/min",
                "a win with the smallest stake exceeds the largest amount",
            );
        }
        // The stake is in the bank before the draw. A bet whose win exceeds the largest amount is declined.
        let stake = self.stakes.to_cover();
        let most = self.win(stake, UNDER_MIN).map_or(0, Amount::get);
        if let Some(bank) = Amount::new(most.saturating_sub(stake.get())) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// Returns the payout for a chance of `under` in a hundred, less the house edge and rounded down.
    fn win(&self, stake: Amount, under: u32) -> Option<Amount> {
        let factor = u128::from(1000 - self.edge_permille) * u128::from(FACES);
        let payout = u128::from(stake.get()) * factor / (1000 * u128::from(under));
        u64::try_from(payout).ok().and_then(Amount::new)
    }

    /// Returns the payout of a win. Declines a bet outside the limits, and one that could not win more than its
    /// stake.
    pub(crate) fn payout(&self, stake: Amount, under: Under) -> Result<Amount, Decline> {
        if self.edge_permille > EDGE_MAX {
            let message =
                format!("The configuration has a house edge of more than {EDGE_MAX} thousandths.");
            return Err(Decline::new("misconfigured", message));
        }
        self.stakes.check(stake, &self.asset)?;
        let too_large = || {
            Decline::new(
                "stake_too_large",
                "A win with that stake exceeds the largest amount.",
            )
        };
        let payout = self.win(stake, under.get()).ok_or_else(too_large)?;
        if payout <= stake {
            let message =
                "A win would pay no more than the stake: stake more, or bet on a lower number.";
            return Err(Decline::new("pays_nothing", message));
        }
        Ok(payout)
    }
}

/// Returns the stated odds of a roll.
pub(crate) fn odds() -> Vec<Odds> {
    let bet = |under: u32, returns_ppm, description| Odds {
        action: "roll",
        description,
        arguments: json!({"stake": 1000, "under": under}),
        config: json!({"asset": "coin"}),
        stake: Stake {
            asset: "coin",
            amount: 1000,
        },
        returns_ppm,
        follow: None,
    };
    vec![
        bet(
            50,
            990_000,
            "One in two, with a house edge of one in a hundred.",
        ),
        bet(10, 990_000, "One in ten."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\"{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    fn payout(config: &Config, stake: u64, under: u32) -> Result<u64, &'static str> {
        let under = Under::try_from(under).expect("a number of a bet");
        let stake = Amount::new(stake).expect("an amount");
        let payout = config.payout(stake, under).map(Amount::get);
        payout.map_err(|decline| decline.code())
    }

    #[test]
    fn a_win_pays_by_its_chance_less_the_edge() {
        assert_eq!(payout(&config(""), 1000, 50), Ok(1980));
        assert_eq!(payout(&config(""), 1000, 2), Ok(49_500));
        assert_eq!(payout(&config(""), 1000, 98), Ok(1010));
        assert_eq!(
            payout(&config(", \"edge_permille\": 0"), 1000, 50),
            Ok(2000)
        );
    }

    #[test]
    fn a_bet_that_cannot_win_anything_is_declined() {
        assert_eq!(payout(&config(""), 50, 98), Err("pays_nothing"));
        assert_eq!(payout(&config(""), 97, 98), Err("pays_nothing"));
        assert_eq!(payout(&config(""), 98, 98), Ok(99));
    }

    #[test]
    fn numbers_and_edges_end_at_their_limits() {
        assert!(Under::try_from(1).is_err() && Under::try_from(99).is_err());
        assert_eq!(
            payout(&config(", \"edge_permille\": 200"), 100, 50),
            Ok(160)
        );
        let over = config(", \"edge_permille\": 201");
        assert_eq!(payout(&over, 100, 50), Err("misconfigured"));
        assert_eq!(
            payout(&config(""), (1 << 53) - 1, 50),
            Err("stake_too_large")
        );
    }

    fn report(more: &str) -> ConfigReport {
        let mut report = ConfigReport::new("bones");
        config(more).check_configuration(&mut report);
        report
    }

    #[test]
    fn limits_that_allow_no_bet_are_reported() {
        let pointers = |more: &str| {
            let findings = report(more).findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        let crossed = ", \"stakes\": {\"min\": 5, \"max\": 4}";
        assert_eq!(pointers(crossed), ["/stakes/max"]);
        assert_eq!(pointers(", \"edge_permille\": 201"), ["/edge_permille"]);
        let unpaid = ", \"stakes\": {\"min\": 9007199254740991}";
        assert_eq!(pointers(unpaid), ["/stakes/min"]);
        assert_eq!(pointers(", \"stakes\": {\"min\": 5}"), [""; 0]);
    }

    #[test]
    fn the_bank_needs_the_win_of_the_largest_stake_at_the_longest_odds() {
        for (more, at_least) in [
            (", \"stakes\": {\"max\": 1000}", 48_500),
            (", \"stakes\": {\"min\": 10}", 485),
            ("", 48),
        ] {
            let [need] = <[_; 1]>::try_from(report(more).needs).expect("one need");
            let need = (&*need.account, &*need.asset, need.at_least);
            assert_eq!(need, ("plugin:bones", "coin", at_least));
        }
    }

    /// The average payout over all faces equals the stated return.
    #[test]
    fn the_stated_odds_follow_from_the_rules() {
        for odds in odds() {
            let config: Config = serde_json::from_value(odds.config).expect("a configuration");
            let roll: Roll = serde_json::from_value(odds.arguments).expect("a bet");
            let payout = config
                .payout(roll.stake, roll.under)
                .expect("it can win")
                .get();
            let returned: u64 = (0..FACES)
                .map(|face| if face < roll.under.get() { payout } else { 0 })
                .sum();
            let staked = odds.stake.amount * u64::from(FACES);
            assert_eq!(returned * 1_000_000 / staked, odds.returns_ppm);
        }
    }
}

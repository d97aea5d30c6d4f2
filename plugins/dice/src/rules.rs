//! The rules of the game: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake, Stakes};

/// Faces of the die.
pub(crate) const FACES: u32 = 100;

/// The edge that a house may keep, in thousandths.
const EDGE_MAX: u16 = 200;

/// The numbers to stay below.
const UNDER_MIN: u32 = 2;
const UNDER_MAX: u32 = 98;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is staked.
    pub(crate) asset: Asset,
    /// What the house keeps on average, in thousandths of the stakes: 0 to 200, 10 where absent.
    #[serde(default = "edge")]
    #[schemars(range(min = 0, max = 200))]
    edge_permille: u16,
    /// What it takes as a stake.
    #[serde(default)]
    stakes: Stakes,
}

fn edge() -> u16 {
    10
}

/// A number to stay below: 2 to 98.
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

/// A bet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roll {
    /// What is staked.
    pub(crate) stake: Amount,
    /// The number drawn has to be below this one: 2 to 98.
    #[schemars(range(min = 2, max = 98))]
    pub(crate) under: Under,
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rolled {
    /// The number drawn, 0 to 99.
    pub(crate) number: u32,
    /// Whether it was below.
    pub(crate) won: bool,
    /// What was paid out, or nothing.
    pub(crate) paid: u64,
}

impl Config {
    /// Reports limits that leave no bet, and the bankroll that the largest one takes at the longest odds.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.edge_permille > EDGE_MAX {
            let message = format!("the edge is at most {EDGE_MAX} thousandths");
            report.finding("/edge_permille", message);
            return;
        }
        self.stakes.report("/stakes/max", report);
        if self.pays(self.stakes.smallest(), UNDER_MAX).is_none() {
            report.finding(
                "/stakes/min",
                "no house could pay a win of even the smallest stake",
            );
        }
        // The stake itself is in the bankroll before the die is cast. What no house could pay is no bet.
        let stake = self.stakes.to_cover();
        let most = self.pays(stake, UNDER_MIN).map_or(0, Amount::get);
        if let Some(bank) = Amount::new(most.saturating_sub(stake.get())) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// A stake's worth at a chance of so many in a hundred, less the edge and rounded down.
    fn pays(&self, stake: Amount, under: u32) -> Option<Amount> {
        let kept = u128::from(1000 - self.edge_permille) * u128::from(FACES);
        let payout = u128::from(stake.get()) * kept / (1000 * u128::from(under));
        u64::try_from(payout).ok().and_then(Amount::new)
    }

    /// What a win pays: as much as leaves the house its edge on average, rounded down.
    pub(crate) fn payout(&self, stake: Amount, under: Under) -> Result<Amount, Decline> {
        if self.edge_permille > EDGE_MAX {
            let message = format!("The configuration has an edge of more than {EDGE_MAX}.");
            return Err(Decline::new("misconfigured", message));
        }
        self.stakes.check(stake, &self.asset)?;
        let too_large = || Decline::new("stake_too_large", "No house could pay a win of that.");
        let payout = self.pays(stake, under.get()).ok_or_else(too_large)?;
        if payout <= stake {
            let message = "A win would pay no more than the stake: stake more, or bet lower.";
            return Err(Decline::new("pays_nothing", message));
        }
        Ok(payout)
    }
}

/// What a roll returns, for the check to play.
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
        bet(50, 990_000, "An even bet, at an edge of one in a hundred."),
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
        let under = Under::try_from(under).expect("a number to stay below");
        let stake = Amount::new(stake).expect("an amount");
        let payout = config.payout(stake, under).map(Amount::get);
        payout.map_err(|decline| decline.code())
    }

    #[test]
    fn a_win_pays_what_its_chance_is_worth_less_the_edge() {
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
    fn limits_that_leave_no_bet_are_found() {
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
    fn the_bankroll_is_to_cover_the_largest_stake_at_the_longest_odds() {
        for (more, at_least) in [
            (", \"stakes\": {\"max\": 1000}", 48_500),
            (", \"stakes\": {\"min\": 10}", 485),
            ("", 48),
        ] {
            let [need] = <[_; 1]>::try_from(report(more).needs).expect("one need");
            let said = (&*need.account, &*need.asset, need.at_least);
            assert_eq!(said, ("plugin:bones", "coin", at_least));
        }
    }

    /// Every face once: what comes back is what is stated.
    #[test]
    fn the_stated_odds_are_those_of_the_rules() {
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

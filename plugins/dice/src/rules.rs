//! The rules of the game: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake, Stakes};

/// Faces of the die.
pub(crate) const FACES: u32 = 100;

/// The edge that a house may keep, in thousandths.
const EDGE_MAX: u16 = 200;

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
        if (2..=98).contains(&under) {
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
    /// What a win pays: as much as leaves the house its edge on average, rounded down.
    pub(crate) fn payout(&self, stake: Amount, under: Under) -> Result<Amount, Decline> {
        if self.edge_permille > EDGE_MAX {
            let message = format!("The configuration has an edge of more than {EDGE_MAX}.");
            return Err(Decline::new("misconfigured", message));
        }
        self.stakes.check(stake, &self.asset)?;
        let kept = u128::from(1000 - self.edge_permille) * u128::from(FACES);
        let payout = u128::from(stake.get()) * kept / (1000 * u128::from(under.get()));
        let payout = u64::try_from(payout).ok().and_then(Amount::new);
        let payout = payout
            .ok_or_else(|| Decline::new("stake_too_large", "No house could pay a win of that."))?;
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

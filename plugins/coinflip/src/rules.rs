//! The rules of the game: plain functions, without the host.

use bursar_plugin::prelude::*;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is staked.
    pub(crate) asset: Asset,
    /// The smallest stake; 1 where absent.
    min_stake: Option<Amount>,
    /// The largest stake; as much as the bankroll covers where absent.
    max_stake: Option<Amount>,
}

/// A side of the coin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Side {
    /// Heads.
    Heads,
    /// Tails.
    Tails,
}

/// A bet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flip {
    /// What is staked.
    pub(crate) stake: Amount,
    /// The side that wins.
    pub(crate) side: Side,
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Flipped {
    /// The side that came up.
    pub(crate) side: Side,
    /// Whether that was the side that was bet on.
    pub(crate) won: bool,
    /// What was paid out: twice the stake, or nothing.
    pub(crate) paid: u64,
}

impl Side {
    /// The side that a draw below 2 means.
    pub(crate) fn of(drawn: u32) -> Self {
        if drawn == 0 { Self::Heads } else { Self::Tails }
    }
}

impl Config {
    /// What a win pays, if the stake is within the limits.
    pub(crate) fn payout(&self, stake: Amount) -> Result<Amount, Decline> {
        if let Some(least) = self.min_stake.filter(|least| stake < *least) {
            let message = format!("The smallest stake is {least} {}.", self.asset);
            return Err(Decline::new("stake_too_small", message));
        }
        if let Some(most) = self.max_stake.filter(|most| stake > *most) {
            let message = format!("The largest stake is {most} {}.", self.asset);
            return Err(Decline::new("stake_too_large", message));
        }
        let too_large = || Decline::new("stake_too_large", "No house could pay that twice.");
        stake.times(2).ok_or_else(too_large)
    }
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
}

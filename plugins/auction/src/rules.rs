//! The rules of an auction: plain functions, without the host.

use bursar_plugin::prelude::*;

/// The longest auction: 30 days. Holds of lots and bids live a day longer.
const LASTS_S_MAX: u64 = 30 * 24 * 60 * 60;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is bid in.
    pub(crate) asset: Asset,
    /// By how much a bid has to pass the one before; 1 where absent.
    #[serde(default = "one")]
    increment: Amount,
    /// Seconds that an auction goes on at least after a bid; none where absent.
    #[serde(default)]
    extension_s: u64,
}

fn one() -> Amount {
    Amount::ONE
}

/// Something to put up for auction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// What.
    pub(crate) asset: Asset,
    /// How much of it.
    pub(crate) amount: Amount,
    /// The smallest bid.
    reserve: Amount,
    /// Seconds until the end: up to 30 days.
    #[schemars(range(min = 1, max = 2_592_000))]
    lasts_s: u64,
}

/// A bid.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bid {
    /// For which lot.
    pub(crate) lot: u64,
    /// How much.
    pub(crate) amount: Amount,
}

/// The number of a lot.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Which lot.
    pub(crate) lot: u64,
}

/// An auction that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Opened {
    /// Its number.
    pub(crate) lot: u64,
    /// When it ends, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
}

/// A bid that is the highest.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Bidding {
    /// How much.
    pub(crate) amount: Amount,
    /// When the auction ends now, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
}

/// An auction that is over.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// Who has got it, if anybody has bid.
    winner: Option<Account>,
    /// What was paid for it.
    price: Option<Amount>,
}

/// The highest bid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) bidder: Account,
    pub(crate) amount: Amount,
    pub(crate) hold: HoldId,
}

/// A lot as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Lot {
    seller: Account,
    asset: Asset,
    amount: Amount,
    reserve: Amount,
    ends_ms: u64,
    hold: HoldId,
    highest: Option<Placed>,
}

/// Where a lot is kept.
pub(crate) fn key(number: u64) -> String {
    format!("l/{number}")
}

pub(crate) fn no_such_lot() -> Decline {
    Decline::new("no_such_lot", "There is no such lot any more.")
}

pub(crate) fn too_late() -> Decline {
    Decline::new(
        "too_late",
        "It was not settled in time, and everybody has their own back.",
    )
}

impl Config {
    /// When an auction ends that begins now.
    pub(crate) fn ends(&self, open: &Open, now_ms: u64) -> Result<u64, Decline> {
        if !(1..=LASTS_S_MAX).contains(&open.lasts_s) {
            let message = format!("An auction lasts 1 to {LASTS_S_MAX} s.");
            return Err(Decline::new("lasts_too_long", message));
        }
        if open.asset == self.asset {
            return Err(Decline::new(
                "same_asset",
                "What is bid in cannot be bid for.",
            ));
        }
        Ok(now_ms.saturating_add(open.lasts_s.saturating_mul(1000)))
    }
}

impl Lot {
    pub(crate) fn new(seller: Account, open: Open, ends_ms: u64, hold: HoldId) -> Self {
        Self {
            seller,
            asset: open.asset,
            amount: open.amount,
            reserve: open.reserve,
            ends_ms,
            hold,
            highest: None,
        }
    }

    pub(crate) fn seller(&self) -> &Account {
        &self.seller
    }

    pub(crate) fn asset(&self) -> &Asset {
        &self.asset
    }

    pub(crate) fn amount(&self) -> Amount {
        self.amount
    }

    pub(crate) fn hold(&self) -> &HoldId {
        &self.hold
    }

    pub(crate) fn highest(&self) -> Option<&Placed> {
        self.highest.as_ref()
    }

    pub(crate) fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    /// Whether a bid counts.
    pub(crate) fn check_bid(
        &self,
        config: &Config,
        bidder: &Account,
        amount: Amount,
        now_ms: u64,
    ) -> Result<(), Decline> {
        if now_ms >= self.ends_ms {
            return Err(Decline::new("over", "The auction is over."));
        }
        if *bidder == self.seller {
            return Err(Decline::new(
                "bids_self",
                "You cannot bid for what you sell.",
            ));
        }
        let least = match &self.highest {
            Some(highest) => highest.amount.checked_add(config.increment)?,
            None => self.reserve,
        };
        if amount < least {
            let message = format!("Bid at least {least} {}.", config.asset);
            return Err(Decline::new("bid_too_low", message));
        }
        Ok(())
    }

    /// Takes a bid as the highest. The auction goes on for a while after it.
    pub(crate) fn take(&mut self, placed: Placed, config: &Config, now_ms: u64) {
        let goes_on = now_ms.saturating_add(config.extension_s.saturating_mul(1000));
        self.ends_ms = self.ends_ms.max(goes_on);
        self.highest = Some(placed);
    }

    pub(crate) fn check_over(&self, now_ms: u64) -> Result<(), Decline> {
        if now_ms >= self.ends_ms {
            return Ok(());
        }
        let wait_s = (self.ends_ms - now_ms).div_ceil(1000);
        Err(Decline::new(
            "not_over",
            format!("The auction goes on for {wait_s} s."),
        ))
    }

    pub(crate) fn check_cancel(&self, caller: &Account) -> Result<(), Decline> {
        if *caller != self.seller {
            return Err(Decline::new("not_yours", "Somebody else sells it."));
        }
        if self.highest.is_some() {
            return Err(Decline::new("has_bids", "Somebody has bid for it."));
        }
        Ok(())
    }

    /// How it ended.
    pub(crate) fn ended(self) -> Ended {
        let (winner, price) = self
            .highest
            .map(|highest| (highest.bidder, highest.amount))
            .unzip();
        Ended { winner, price }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    fn hold() -> HoldId {
        serde_json::from_str("\"00000000-0000-7000-8000-000000000000\"").expect("an id")
    }

    fn config() -> Config {
        let text = r#"{"asset": "coin", "increment": 5, "extension_s": 10}"#;
        serde_json::from_str(text).expect("a configuration")
    }

    fn open(asset: &str, lasts_s: u64) -> Open {
        let text =
            format!(r#"{{"asset": "{asset}", "amount": 1, "reserve": 100, "lasts_s": {lasts_s}}}"#);
        serde_json::from_str(&text).expect("a lot")
    }

    fn lot() -> Lot {
        Lot::new(member(1), open("item:sword", 60), 60_000, hold())
    }

    fn bid(lot: &mut Lot, bidder: u32, units: u64, now_ms: u64) -> Result<(), &'static str> {
        let (bidder, amount) = (member(bidder), amount(units));
        let checked = lot.check_bid(&config(), &bidder, amount, now_ms);
        checked.map_err(|decline| decline.code())?;
        let hold = hold();
        lot.take(
            Placed {
                bidder,
                amount,
                hold,
            },
            &config(),
            now_ms,
        );
        Ok(())
    }

    #[test]
    fn each_bid_passes_the_one_before_by_the_increment() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 99, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 2, 100, 0), Ok(()));
        assert_eq!(bid(&mut lot, 3, 104, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 3, 105, 0), Ok(()));
        assert_eq!(bid(&mut lot, 1, 200, 0), Err("bids_self"));
        let ended = lot.ended();
        assert_eq!(
            (ended.winner, ended.price),
            (Some(member(3)), Some(amount(105)))
        );
    }

    #[test]
    fn a_bid_at_the_last_moment_makes_it_go_on() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 100, 59_999), Ok(()));
        assert_eq!(lot.ends_ms(), 69_999);
        assert_eq!(bid(&mut lot, 3, 200, 69_999), Err("over"));
        assert_eq!(
            lot.check_over(69_998).expect_err("it goes on").code(),
            "not_over"
        );
        assert!(lot.check_over(69_999).is_ok());
    }

    #[test]
    fn auctions_end_at_their_limits() {
        let code = |asset, lasts_s| {
            config()
                .ends(&open(asset, lasts_s), 5)
                .map_err(|no| no.code())
        };
        assert_eq!(code("item:sword", LASTS_S_MAX), Ok(5 + LASTS_S_MAX * 1000));
        assert_eq!(code("item:sword", LASTS_S_MAX + 1), Err("lasts_too_long"));
        assert_eq!(code("item:sword", 0), Err("lasts_too_long"));
        assert_eq!(code("coin", 60), Err("same_asset"));
    }

    #[test]
    fn a_lot_is_taken_back_by_its_seller_before_the_first_bid() {
        let mut lot = lot();
        assert!(lot.check_cancel(&member(1)).is_ok());
        assert_eq!(
            lot.check_cancel(&member(2)).expect_err("not his").code(),
            "not_yours"
        );
        bid(&mut lot, 2, 100, 0).expect("a bid");
        assert_eq!(
            lot.check_cancel(&member(1)).expect_err("too late").code(),
            "has_bids"
        );
    }
}

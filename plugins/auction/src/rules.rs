//! The rules of an auction: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::{OpenList, member_key};

/// The longest auction as it is opened: 30 days.
const LASTS_S_MAX: u64 = 30 * 24 * 60 * 60;

/// How long lots and bids are held: as in the manifest, a day longer than that.
pub(crate) const HELD_S: u64 = LASTS_S_MAX + 24 * 60 * 60;

/// Seconds that are left to settle the longest auction, however late the last bid has come: six hours.
const SETTLE_S: u64 = 6 * 60 * 60;

/// Lots that a member has open at a time: with the longest names they take some 20 KB of what is kept for
/// all.
const OPEN_MAX: usize = 20;

/// Lots that have ended which a new one forgets: more than it adds.
pub(crate) const FORGOTTEN: u64 = 4;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is bid in. Lots that are open when it changes go on in what they were opened with.
    asset: Asset,
    /// By how much a bid has to pass the one before; 1 where absent.
    #[serde(default = "one")]
    increment: Amount,
    /// Seconds that an auction goes on at least after a bid; none where absent. However many bids there are,
    /// it ends six hours before the lot is free again, which is 31 days after it was opened.
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

impl Ended {
    /// Somebody has bid for it, and has it.
    pub(crate) fn sold(to: &Placed) -> Self {
        Self {
            winner: Some(to.bidder.clone()),
            price: Some(to.amount),
        }
    }

    /// Nobody has it.
    pub(crate) fn unsold() -> Self {
        Self {
            winner: None,
            price: None,
        }
    }
}

/// When an auction ends: without late bids, and with ever so many of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    ends_ms: u64,
    last_end_ms: u64,
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
    /// What is bid in; what is configured for lots that were opened before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bid_asset: Option<Asset>,
    /// Until when late bids make it go on; for lots that were opened before it was kept they do not.
    #[serde(default)]
    last_end_ms: u64,
}

/// Where a lot is kept.
pub(crate) fn key(number: u64) -> String {
    format!("l/{number}")
}

pub(crate) fn no_such_lot() -> Decline {
    Decline::new("no_such_lot", "There is no such lot any more.")
}

/// What is up for auction has been taken away from it.
pub(crate) fn lot_gone() -> Decline {
    let message = "The lot is not there any more: settle it, and everybody has their own back.";
    Decline::new("lot_gone", message)
}

/// Where it is kept which lots a member has open.
pub(crate) fn open_key(seller: &Account) -> Result<String, Decline> {
    member_key("s", seller)
}

/// What a member has open with one more lot, if it may.
pub(crate) fn opened(mut lots: OpenList, number: u64, now_ms: u64) -> Result<OpenList, Decline> {
    if lots.add(number, after(now_ms, HELD_S), now_ms, OPEN_MAX) {
        return Ok(lots);
    }
    let message = format!("You have {OPEN_MAX} lots open: settle or cancel one before the next.");
    Err(Decline::new("too_many_lots", message))
}

/// So many seconds later.
fn after(now_ms: u64, seconds: u64) -> u64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}

impl Config {
    /// When an auction ends that begins now.
    pub(crate) fn times(&self, open: &Open, now_ms: u64) -> Result<Times, Decline> {
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
        Ok(Times {
            ends_ms: after(now_ms, open.lasts_s),
            last_end_ms: after(now_ms, HELD_S - SETTLE_S),
        })
    }
}

impl Lot {
    pub(crate) fn new(
        seller: Account,
        open: Open,
        times: Times,
        config: &Config,
        hold: HoldId,
    ) -> Self {
        Self {
            seller,
            asset: open.asset,
            amount: open.amount,
            reserve: open.reserve,
            ends_ms: times.ends_ms,
            hold,
            highest: None,
            bid_asset: Some(config.asset.clone()),
            last_end_ms: times.last_end_ms,
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

    /// What is bid in.
    pub(crate) fn bid_asset<'a>(&'a self, config: &'a Config) -> &'a Asset {
        self.bid_asset.as_ref().unwrap_or(&config.asset)
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
            let message = format!("Bid at least {least} {}.", self.bid_asset(config));
            return Err(Decline::new("bid_too_low", message));
        }
        Ok(())
    }

    /// Takes a bid as the highest. The auction goes on for a while after it, but not until the lot is held
    /// no longer: whoever bids most then would go away empty-handed.
    pub(crate) fn take(&mut self, placed: Placed, config: &Config, now_ms: u64) {
        let goes_on = after(now_ms, config.extension_s).min(self.last_end_ms);
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
        let open = open("item:sword", 60);
        let times = config().times(&open, 0).expect("it is short");
        Lot::new(member(1), open, times, &config(), hold())
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
        let ended = Ended::sold(lot.highest().expect("there are bids"));
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
            let times = config().times(&open(asset, lasts_s), 5);
            times.map(|times| times.ends_ms).map_err(|no| no.code())
        };
        assert_eq!(code("item:sword", LASTS_S_MAX), Ok(5 + LASTS_S_MAX * 1000));
        assert_eq!(code("item:sword", LASTS_S_MAX + 1), Err("lasts_too_long"));
        assert_eq!(code("item:sword", 0), Err("lasts_too_long"));
        assert_eq!(code("coin", 60), Err("same_asset"));
    }

    #[test]
    fn late_bids_leave_time_to_settle_before_the_lot_is_free() {
        let mut lot = lot();
        lot.ends_ms = after(0, LASTS_S_MAX);
        let last_ms = after(0, HELD_S - SETTLE_S);
        let mut placed = |now_ms| {
            let (bidder, amount, hold) = (member(2), amount(100), hold());
            let placed = Placed {
                bidder,
                amount,
                hold,
            };
            lot.take(placed, &config(), now_ms);
            lot.ends_ms()
        };
        assert_eq!(placed(last_ms - 10_001), last_ms - 1);
        assert_eq!(placed(last_ms - 10_000), last_ms);
        assert_eq!(placed(last_ms - 1), last_ms);
    }

    #[test]
    fn a_lot_of_before_is_bid_for_in_what_is_configured_and_goes_on_no_longer() {
        let mut old = serde_json::to_value(lot()).expect("JSON");
        let members = old.as_object_mut().expect("an object");
        members.remove("bid_asset").expect("it is kept");
        members.remove("last_end_ms").expect("it is kept");
        let mut old: Lot = serde_json::from_value(old).expect("a lot");
        let gems: Config = serde_json::from_str(r#"{"asset": "gem"}"#).expect("one");
        assert_eq!(old.bid_asset(&gems), &Asset::new("gem"));
        assert_eq!(lot().bid_asset(&gems), &Asset::new("coin"));
        assert_eq!(bid(&mut old, 2, 100, 59_999), Ok(()));
        assert_eq!(old.ends_ms(), 60_000);
    }

    #[test]
    fn a_member_has_so_many_lots_open_and_no_more() {
        let add = |lots, number| opened(lots, number, 0).expect("there is room");
        let full = (0..OPEN_MAX as u64).fold(OpenList::default(), add);
        let more = opened(full.clone(), 99, HELD_S * 1000 - 1).expect_err("one too many");
        assert_eq!(more.code(), "too_many_lots");
        assert!(opened(full, 99, HELD_S * 1000).is_ok(), "they are over");
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

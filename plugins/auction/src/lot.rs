//! A lot: its terms, its bids and its end.

use bursar_plugin::prelude::*;

use crate::arguments::OpenArguments;
use crate::config::{AuctionTimes, Config};
use crate::replies::LotView;
use crate::times::{DAY_S, TRIED_S, TRY_AGAIN_S, after};

/// The highest bid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct PlacedBid {
    pub(crate) bidder: Account,
    pub(crate) amount: Amount,
    pub(crate) hold: HoldId,
}

/// A lot that is up for auction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Lot {
    seller: Account,
    asset: Asset,
    amount: Amount,
    reserve: Amount,
    ends_ms: u64,
    hold: HoldId,
    highest: Option<PlacedBid>,
    terms: LotTerms,
    /// The time of the next check. It is part of the key under which the lot waits.
    #[serde(rename = "looked_at_ms")]
    next_check_ms: u64,
    /// The number of attempts to settle the lot that were blocked.
    tries: u32,
}

/// The terms of an auction, from the configuration at its opening.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct LotTerms {
    /// The asset of bids.
    asset: Asset,
    /// The smallest difference between a bid and the previous one.
    increment: Amount,
    /// The seconds for which the auction continues at least after a bid.
    extension_s: u64,
    /// The last possible end with late bids.
    last_end_ms: u64,
}

impl Lot {
    pub(crate) fn new(
        seller: Account,
        open: OpenArguments,
        times: AuctionTimes,
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
            terms: LotTerms {
                asset: config.asset.clone(),
                increment: config.increment,
                extension_s: config.extension_s,
                last_end_ms: times.last_end_ms,
            },
            next_check_ms: times.ends_ms,
            tries: 0,
        }
    }

    /// Returns the time of the next check.
    pub(crate) fn next_check_ms(&self) -> u64 {
        self.next_check_ms
    }

    /// Sets the next check to the current end of the auction.
    pub(crate) fn check_at_end(&mut self) {
        self.next_check_ms = self.ends_ms;
    }

    /// Sets the next check after a blocked attempt to settle the lot.
    pub(crate) fn try_again(&mut self, now_ms: u64) {
        let wait_s = TRY_AGAIN_S.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        self.next_check_ms = after(now_ms, wait_s.min(DAY_S));
    }

    /// Returns true if the time for attempts to settle the lot is over.
    pub(crate) fn is_given_up(&self, now_ms: u64) -> bool {
        now_ms >= after(self.ends_ms, TRIED_S)
    }

    /// Returns the reply to `look`.
    pub(crate) fn view(self) -> Result<LotView, Decline> {
        let next_bid = self.smallest_bid()?;
        let (highest, bidder) = self.highest.map(|it| (it.amount, it.bidder)).unzip();
        Ok(LotView {
            seller: self.seller,
            asset: self.asset,
            amount: self.amount,
            bid_asset: self.terms.asset,
            next_bid,
            highest,
            bidder,
            ends_ms: self.ends_ms,
            extension_s: self.terms.extension_s,
            tries: self.tries,
        })
    }

    /// Returns the smallest bid that is accepted now.
    fn smallest_bid(&self) -> Result<Amount, Decline> {
        match &self.highest {
            Some(highest) => Ok(highest.amount.checked_add(self.terms.increment)?),
            None => Ok(self.reserve),
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

    /// Returns the asset of bids.
    pub(crate) fn bid_asset(&self) -> &Asset {
        &self.terms.asset
    }

    pub(crate) fn hold(&self) -> &HoldId {
        &self.hold
    }

    pub(crate) fn highest(&self) -> Option<&PlacedBid> {
        self.highest.as_ref()
    }

    pub(crate) fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    /// Declines a bid that is too late, too low or the seller's own.
    pub(crate) fn check_bid(
        &self,
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
                "You cannot bid for your own lot.",
            ));
        }
        let smallest = self.smallest_bid()?;
        if amount < smallest {
            let message = format!("Bid at least {smallest} {}.", self.bid_asset());
            return Err(Decline::new("bid_too_low", message));
        }
        Ok(())
    }

    /// Accepts a bid as the highest and extends the auction, at most to its last possible end.
    ///
    /// Without that bound the hold of the lot could expire before the settlement, and the winner would get
    /// nothing.
    pub(crate) fn accept(&mut self, bid: PlacedBid, now_ms: u64) {
        let extended = after(now_ms, self.terms.extension_s).min(self.terms.last_end_ms);
        self.ends_ms = self.ends_ms.max(extended);
        self.highest = Some(bid);
    }

    /// Declines a settlement before the end of the auction.
    pub(crate) fn check_over(&self, now_ms: u64) -> Result<(), Decline> {
        if now_ms >= self.ends_ms {
            return Ok(());
        }
        let wait_s = (self.ends_ms - now_ms).div_ceil(1000);
        Err(Decline::new(
            "not_over",
            format!("The auction ends in {wait_s} s."),
        ))
    }

    /// Declines a cancellation by another member or after a bid.
    pub(crate) fn check_cancel(&self, caller: &Account) -> Result<(), Decline> {
        if *caller != self.seller {
            return Err(Decline::new(
                "not_yours",
                "Only the seller can cancel a lot.",
            ));
        }
        if self.highest.is_some() {
            return Err(Decline::new(
                "has_bids",
                "A lot with bids cannot be cancelled.",
            ));
        }
        Ok(())
    }
}

/// Declines a settlement while the account of the seller or of the winner cannot pay or receive.
pub(crate) fn blocked() -> Decline {
    let message = "The account of the seller or of the winner cannot pay or receive at the moment. The \
        auction tries again for a week, and then releases the lot and the bid.";
    Decline::new("cannot_settle", message)
}

/// Returns the log line for a lot whose settlement is blocked.
pub(crate) fn blocked_line(number: u64, lot: &Lot) -> String {
    format!(
        "lot {number} could not be settled {} times: {} or {} cannot pay or receive",
        lot.tries,
        lot.seller,
        lot.highest
            .as_ref()
            .map_or("no bidder", |it| it.bidder.as_str()),
    )
}

/// Declines a bid for a lot whose hold has ended or is not whole.
pub(crate) fn lot_gone() -> Decline {
    let message = "The lot is no longer available: settle it to release the bid.";
    Decline::new("lot_gone", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config, open};
    use crate::times::{LAST_END_S, LASTS_S_MAX};

    fn amount(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    fn hold() -> HoldId {
        serde_json::from_str("\"00000000-0000-7000-8000-000000000000\"").expect("an id")
    }

    fn lot() -> Lot {
        let open = open("item:sword", 60);
        let times = config().times(&open, 0).expect("it is short enough");
        Lot::new(member(1), open, times, &config(), hold())
    }

    fn bid(lot: &mut Lot, bidder: u32, units: u64, now_ms: u64) -> Result<(), &'static str> {
        let bidder = member(bidder);
        let amount = amount(units);
        let result = lot.check_bid(&bidder, amount, now_ms);
        result.map_err(|decline| decline.code())?;
        let hold = hold();
        lot.accept(
            PlacedBid {
                bidder,
                amount,
                hold,
            },
            now_ms,
        );
        Ok(())
    }

    #[test]
    fn each_bid_exceeds_the_previous_one_by_the_increment() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 99, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 2, 100, 0), Ok(()));
        assert_eq!(bid(&mut lot, 3, 104, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 3, 105, 0), Ok(()));
        assert_eq!(bid(&mut lot, 1, 200, 0), Err("bids_self"));
        let highest = lot.highest().expect("there are bids");
        assert_eq!((&highest.bidder, highest.amount), (&member(3), amount(105)));
    }

    #[test]
    fn a_late_bid_extends_the_auction() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 100, 59_999), Ok(()));
        assert_eq!(lot.ends_ms(), 69_999);
        assert_eq!(bid(&mut lot, 3, 200, 69_999), Err("over"));
        assert_eq!(
            lot.check_over(69_998).expect_err("it is not over").code(),
            "not_over"
        );
        assert!(lot.check_over(69_999).is_ok());
    }

    #[test]
    fn late_bids_extend_the_auction_to_its_last_end_at_most() {
        let mut lot = lot();
        lot.ends_ms = after(0, LASTS_S_MAX);
        let last_ms = after(0, LAST_END_S);
        let mut end_after_bid = |now_ms| {
            let bid = PlacedBid {
                bidder: member(2),
                amount: amount(100),
                hold: hold(),
            };
            lot.accept(bid, now_ms);
            lot.ends_ms()
        };
        assert_eq!(end_after_bid(last_ms - 10_001), last_ms - 1);
        assert_eq!(end_after_bid(last_ms - 10_000), last_ms);
        assert_eq!(end_after_bid(last_ms - 1), last_ms);
    }

    #[test]
    fn the_pauses_between_attempts_grow_and_the_attempts_end() {
        let mut lot = lot();
        let mut now_ms = lot.ends_ms();
        let mut waits = Vec::new();
        while !lot.is_given_up(now_ms) {
            lot.try_again(now_ms);
            waits.push((lot.next_check_ms() - now_ms) / 1000);
            now_ms = lot.next_check_ms();
        }
        assert_eq!(waits[..3], [60, 120, 240]);
        assert_eq!((waits.len(), waits[waits.len() - 1]), (17, DAY_S));
    }

    #[test]
    fn a_lot_is_cancelled_by_its_seller_before_the_first_bid() {
        let mut lot = lot();
        assert!(lot.check_cancel(&member(1)).is_ok());
        assert_eq!(
            lot.check_cancel(&member(2))
                .expect_err("not the seller")
                .code(),
            "not_yours"
        );
        bid(&mut lot, 2, 100, 0).expect("a bid");
        assert_eq!(
            lot.check_cancel(&member(1)).expect_err("too late").code(),
            "has_bids"
        );
    }
}

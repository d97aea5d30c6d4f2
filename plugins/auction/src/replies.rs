//! The replies of the auction's actions.

use bursar_plugin::prelude::*;

/// The reply to `open`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenReply {
    /// The number of the lot.
    pub(crate) lot: u64,
    /// The end of the auction, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
}

/// The reply to `bid`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BidReply {
    /// The amount of the bid, which is now the highest.
    pub(crate) amount: Amount,
    /// The new end of the auction, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
}

/// The result of an auction.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LotResult {
    /// The winner; null if the lot was not sold.
    pub(crate) winner: Option<Account>,
    /// The price that was paid; null if the lot was not sold.
    pub(crate) price: Option<Amount>,
    /// The seller or the winner, if that account was full: they have to collect their part.
    to_collect: Vec<Account>,
}

impl LotResult {
    /// Creates the result of a lot that was sold.
    pub(crate) fn sold(winner: &Account, price: Amount, to_collect: Vec<Account>) -> Self {
        Self {
            winner: Some(winner.clone()),
            price: Some(price),
            to_collect,
        }
    }

    /// Creates the result of a lot that was not sold.
    pub(crate) fn unsold() -> Self {
        Self {
            winner: None,
            price: None,
            to_collect: Vec::new(),
        }
    }
}

/// A lot and its result.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct SettledLot {
    /// The number of the lot.
    lot: u64,
    /// The result of the auction.
    #[serde(flatten)]
    result: LotResult,
}

/// The reply of the schedule `settle_due`.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SettleDueReply {
    /// The lots that are over.
    settled: Vec<SettledLot>,
    /// The lots that are tried again later, since an account cannot pay or receive.
    waiting: Vec<u64>,
}

impl SettleDueReply {
    pub(crate) fn add_settled(&mut self, lot: u64, result: LotResult) {
        self.settled.push(SettledLot { lot, result });
    }

    pub(crate) fn add_waiting(&mut self, lot: u64) {
        self.waiting.push(lot);
    }
}

/// The reply to `look`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LotView {
    /// The seller.
    pub(crate) seller: Account,
    /// The asset for sale.
    pub(crate) asset: Asset,
    /// The amount for sale.
    pub(crate) amount: Amount,
    /// The asset of bids.
    pub(crate) bid_asset: Asset,
    /// The smallest bid that is accepted now.
    pub(crate) next_bid: Amount,
    /// The highest bid; null if there is none.
    pub(crate) highest: Option<Amount>,
    /// The highest bidder; null if there is none.
    pub(crate) bidder: Option<Account>,
    /// The end of the auction, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
    /// The seconds for which the auction continues at least after a bid.
    pub(crate) extension_s: u64,
    /// The number of attempts to settle the lot that were blocked.
    pub(crate) tries: u32,
}

/// The reply to `collect`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct CollectReply {
    /// The collected asset.
    pub(crate) asset: Asset,
    /// The collected amount.
    pub(crate) amount: Amount,
    /// `true` if there is more to collect.
    pub(crate) more: bool,
}

//! What the auction tells: plain types.

use bursar_plugin::prelude::*;

use crate::rules::Placed;

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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// Who has got it, if anybody has bid.
    pub(crate) winner: Option<Account>,
    /// What was paid for it.
    pub(crate) price: Option<Amount>,
    /// Those of the two whose account had no room: they have to collect what is theirs.
    to_collect: Vec<Account>,
}

impl Ended {
    /// Somebody has bid for it, and has it.
    pub(crate) fn sold(to: &Placed, to_collect: Vec<Account>) -> Self {
        Self {
            winner: Some(to.bidder.clone()),
            price: Some(to.amount),
            to_collect,
        }
    }

    /// Nobody has it.
    pub(crate) fn unsold() -> Self {
        Self {
            winner: None,
            price: None,
            to_collect: Vec::new(),
        }
    }
}

/// A lot and what has come of it.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Settled {
    /// Its number.
    lot: u64,
    /// How it ended.
    #[serde(flatten)]
    ended: Ended,
}

/// What was done about lots whose time had come.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Swept {
    /// Those that are over.
    settled: Vec<Settled>,
    /// Those that are tried again later, since an account can neither give nor take.
    waiting: Vec<u64>,
}

impl Swept {
    pub(crate) fn settled(&mut self, lot: u64, ended: Ended) {
        self.settled.push(Settled { lot, ended });
    }

    pub(crate) fn waits(&mut self, lot: u64) {
        self.waiting.push(lot);
    }
}

/// A lot as members see it.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Shown {
    /// Who sells it.
    pub(crate) seller: Account,
    /// What is up for auction.
    pub(crate) asset: Asset,
    /// How much of it.
    pub(crate) amount: Amount,
    /// What is bid in.
    pub(crate) bid_asset: Asset,
    /// The smallest bid that counts now.
    pub(crate) next_bid: Amount,
    /// The highest bid so far.
    pub(crate) highest: Option<Amount>,
    /// Who has bid it.
    pub(crate) bidder: Option<Account>,
    /// When the auction ends, in milliseconds since 1970 UTC.
    pub(crate) ends_ms: u64,
    /// Seconds that it goes on at least after a bid.
    pub(crate) extension_s: u64,
    /// How often it could not be settled.
    pub(crate) tries: u32,
}

/// What was collected.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Collected {
    /// Of what.
    pub(crate) asset: Asset,
    /// How much.
    pub(crate) amount: Amount,
    /// Whether there is more to collect.
    pub(crate) more: bool,
}

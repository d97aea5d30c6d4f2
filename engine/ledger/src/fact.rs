//! What a plugin's call asks the host, and what it is told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::id::{AccountId, AssetId};
use crate::movement::Posting;

/// One thing that a call asks, in the order in which it asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How much an account has.
    Balance {
        /// Whose balance.
        account: AccountId,
        /// In which asset.
        asset: AssetId,
    },
    /// Whether an account could spend an amount.
    HasAtLeast {
        /// Whose balance.
        account: AccountId,
        /// In which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// A movement.
    Transfer(Posting),
    /// That an amount of the plugin's own be kept for paying out after a draw.
    Secure {
        /// The plugin's account.
        account: AccountId,
        /// What is secured.
        asset: AssetId,
        /// How much of it.
        amount: Amount,
    },
    /// A draw from 0 to `range` − 1.
    Draw {
        /// How many outcomes there are.
        range: u32,
        /// What is drawn.
        label: String,
    },
    /// The value of a key of the plugin's state.
    Get {
        /// Which key.
        key: Arc<str>,
    },
    /// That a key have a value.
    Set {
        /// Which key.
        key: Arc<str>,
        /// Which value.
        value: Arc<str>,
    },
    /// That a key be gone.
    Delete {
        /// Which key.
        key: Arc<str>,
    },
    /// A page of keys.
    List {
        /// What they begin with.
        prefix: Arc<str>,
        /// Where the page begins.
        cursor: Option<Arc<str>>,
    },
}

/// A balance as a plugin sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The sum of all postings.
    pub posted: i64,
    /// What holds have reserved.
    pub held: u64,
    /// What can be spent.
    pub spendable: u64,
}

/// A page of a plugin's keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The keys, ascending.
    pub keys: Vec<Arc<str>>,
    /// Where the next page begins.
    pub next: Option<Arc<str>>,
}

/// Why a call was told no at once. Nothing was asked for, and the call goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The economy has no such account.
    #[error("the economy has no account `{account}`")]
    UnknownAccount {
        /// Which.
        account: AccountId,
    },
    /// The economy has no such asset.
    #[error("the economy has no asset `{asset}`")]
    UnknownAsset {
        /// Which.
        asset: AssetId,
    },
    /// A movement from an account to itself.
    #[error("a movement has two different accounts")]
    SameAccount,
    /// The plugin was not granted this.
    #[error("the plugin has no grant to {what}")]
    NotGranted {
        /// What it would have to be granted.
        what: String,
    },
    /// More than may leave the caller in this call.
    #[error("{asked} {asset} would leave the caller, of at most {most}")]
    OverLimit {
        /// What would leave.
        asset: AssetId,
        /// How much may leave.
        most: Limit,
        /// How much would leave, all together.
        asked: u64,
    },
    /// The account cannot cover what is to be secured.
    #[error("the account cannot cover the amount")]
    InsufficientFunds,
    /// The caller has no room for what is to be secured.
    #[error("the caller's account has no room for the amount")]
    NoRoom,
    /// A draw has been made.
    #[error("after a draw only secured amounts move, to the caller or to the plugin itself")]
    AfterDraw,
    /// More than was secured.
    #[error("more than what was secured")]
    NotSecured,
}

/// What a call is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A balance.
    Balance(Seen),
    /// Yes or no.
    Whether(bool),
    /// It is asked for, secured or written.
    Done,
    /// A draw.
    Drawn(u32),
    /// A value, or none.
    Value(Option<Arc<str>>),
    /// A page of keys.
    Page(Page),
    /// No.
    Refused(Refusal),
}

/// One thing asked and told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// What was asked.
    pub ask: Ask,
    /// What was told.
    pub answer: Answer,
}

/// What a call learned and asked, with the version of the plugin that it ran as.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Transcript {
    version: u64,
    facts: Vec<Fact>,
}

impl Transcript {
    pub(crate) fn new(version: u64, facts: Vec<Fact>) -> Self {
        Self { version, facts }
    }

    /// Everything asked and told, in order.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The version of the plugin's installation that the call ran as.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

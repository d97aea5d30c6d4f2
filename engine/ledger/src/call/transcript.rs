//! What a plugin's call asks the host, and what it is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::digest::Digest;
use crate::draw::{Draw, DrawOrigin, Seed};
use crate::id::{AccountId, AssetId, HoldId};
use crate::movement::Posting;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// One thing that a call asks, in the order in which it asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRequest {
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
    /// That an amount be reserved for a later call.
    PlaceHold {
        /// Which kind of hold, of those that the manifest names.
        rule: String,
        /// What is reserved, and for whom.
        posting: Posting,
    },
    /// That some of a hold move to where it was meant to go, or all that is left.
    CaptureHold {
        /// The hold.
        hold: HoldId,
        /// How much of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
    },
    /// That what is left of a hold can be spent again.
    ReleaseHold {
        /// The hold.
        hold: HoldId,
    },
    /// What is left of a hold.
    HoldLeft {
        /// The hold.
        hold: HoldId,
    },
    /// That a hold stay at hand after a draw.
    SecureHold {
        /// The hold.
        hold: HoldId,
    },
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
    /// An order of the numbers from 0 to `count` − 1.
    Shuffle {
        /// How many there are.
        count: u32,
        /// What is drawn.
        label: String,
    },
    /// Bytes.
    Bytes {
        /// How many.
        count: u32,
        /// What is drawn.
        label: String,
    },
    /// That a text go into the draws that follow.
    Mix {
        /// The text.
        text: String,
    },
    /// What the caller has put into draws.
    ClientSeed,
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
    /// A run of one of the plugin's schedules.
    Wake {
        /// The schedule.
        schedule: String,
        /// The moment from which on it is wanted.
        from: Timestamp,
    },
}

impl HostRequest {
    /// What is drawn, if that is what it asks.
    pub(crate) fn drawn(&self, draw: &Draw<'_>) -> Option<HostResponse> {
        match self {
            Self::Draw { range, label } => {
                let draw = Draw { label, ..*draw };
                Some(HostResponse::Drawn(draw.below(*range)))
            }
            Self::Shuffle { count, label } => {
                let draw = Draw { label, ..*draw };
                Some(HostResponse::Shuffled(draw.shuffle(*count)))
            }
            Self::Bytes { count, label } => {
                let draw = Draw { label, ..*draw };
                Some(HostResponse::Bytes(hex::encode(draw.bytes(*count))))
            }
            Self::Balance { .. }
            | Self::HasAtLeast { .. }
            | Self::Transfer(_)
            | Self::PlaceHold { .. }
            | Self::CaptureHold { .. }
            | Self::ReleaseHold { .. }
            | Self::HoldLeft { .. }
            | Self::SecureHold { .. }
            | Self::Secure { .. }
            | Self::Mix { .. }
            | Self::ClientSeed
            | Self::Get { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::List { .. }
            | Self::Wake { .. } => None,
        }
    }

    /// Whether something is to be drawn.
    pub fn is_draw(&self) -> bool {
        matches!(
            self,
            Self::Draw { .. } | Self::Shuffle { .. } | Self::Bytes { .. }
        )
    }
}

/// A balance as a plugin sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VisibleBalance {
    /// The sum of all postings.
    pub posted: i64,
    /// What holds have reserved.
    pub held: u64,
    /// What can be spent.
    pub spendable: u64,
}

/// A page of a plugin's keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatePage {
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
        /// The account.
        account: AccountId,
    },
    /// The economy has no such asset.
    #[error("the economy has no asset `{asset}`")]
    UnknownAsset {
        /// The asset.
        asset: AssetId,
    },
    /// A movement from an account to itself.
    #[error("a movement has two different accounts")]
    SameAccount,
    /// The plugin was not granted this.
    #[error("the plugin has no grant to {what}")]
    NotGranted {
        /// What it would have to be granted, and how an operator does that.
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
    /// The account that would get it has no room for what is to be secured or held.
    #[error("the account that would get it has no room for the amount")]
    NoRoom,
    /// No open hold of this plugin's has this id.
    #[error("no open hold of the plugin's is {hold}")]
    NoHold {
        /// The hold.
        hold: HoldId,
    },
    /// The manifest names no such kind of hold.
    #[error("the manifest has no kind of hold `{rule}`")]
    NoHoldRule {
        /// The rule.
        rule: String,
    },
    /// The installation has no such schedule.
    #[error("the plugin has no schedule `{schedule}`")]
    NoSchedule {
        /// The name that was asked for.
        schedule: String,
    },
    /// More than what is left of a hold.
    #[error("{left} are left of the hold {hold}")]
    HoldExceeded {
        /// The hold.
        hold: HoldId,
        /// What is left of it.
        left: Amount,
    },
    /// Nobody has said where draws come from: a bug of the host's.
    #[error("there is nothing to draw from")]
    NoOrigin,
    /// A draw has been made.
    #[error(
        "after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a \
         grant let this call take as much"
    )]
    AfterDraw,
    /// More than was secured.
    #[error("more than what was secured")]
    NotSecured,
}

/// What a call is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostResponse {
    /// A balance.
    Balance(VisibleBalance),
    /// An answer to a yes-or-no question.
    #[serde(rename = "whether")]
    Bool(bool),
    /// A hold is to be placed.
    Placed(HoldId),
    /// What is left of a hold, if it is open.
    Left(Option<Amount>),
    /// It is asked for, secured or written.
    Done,
    /// A draw.
    Drawn(u32),
    /// An order that was drawn.
    Shuffled(Vec<u32>),
    /// Bytes that were drawn, as hexadecimal digits.
    Bytes(String),
    /// What a member has put into draws.
    Text(Arc<str>),
    /// Nothing is drawn: what was asked for before cannot be, and the call ends here.
    Ends(Rejection),
    /// A value, or none.
    Value(Option<Arc<str>>),
    /// A page of keys.
    Page(StatePage),
    /// No.
    Refused(Refusal),
}

/// One thing asked and told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub ask: HostRequest,
    /// What was told.
    pub answer: HostResponse,
}

impl Exchange {
    /// Whether something was drawn.
    pub fn is_draw(&self) -> bool {
        let refused = matches!(
            self.answer,
            HostResponse::Refused(_) | HostResponse::Ends(_)
        );
        self.ask.is_draw() && !refused
    }
}

/// What a call learned and asked, with the version of the plugin that it ran as.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Transcript {
    version: u64,
    facts: Vec<Exchange>,
}

impl Transcript {
    pub(crate) fn new(version: u64, facts: Vec<Exchange>) -> Self {
        Self { version, facts }
    }

    /// Everything asked and told, in order.
    pub fn facts(&self) -> &[Exchange] {
        &self.facts
    }

    /// The holds that the call placed, captured, gave back or secured, each once.
    pub fn holds(&self) -> impl Iterator<Item = HoldId> + use<> {
        let done = self
            .facts
            .iter()
            .filter_map(|fact| match (&fact.ask, &fact.answer) {
                (HostRequest::PlaceHold { .. }, HostResponse::Placed(hold))
                | (
                    HostRequest::CaptureHold { hold, .. }
                    | HostRequest::ReleaseHold { hold }
                    | HostRequest::SecureHold { hold },
                    HostResponse::Done,
                ) => Some(*hold),
                (_, _) => None,
            });
        done.collect::<BTreeSet<_>>().into_iter()
    }

    /// Why the call ended before its first draw, if it did.
    pub(crate) fn ended_by(&self) -> Option<&Rejection> {
        match &self.facts.last()?.answer {
            HostResponse::Ends(rejection) => Some(rejection),
            HostResponse::Balance(_)
            | HostResponse::Bool(_)
            | HostResponse::Placed(_)
            | HostResponse::Left(_)
            | HostResponse::Done
            | HostResponse::Drawn(_)
            | HostResponse::Shuffled(_)
            | HostResponse::Bytes(_)
            | HostResponse::Text(_)
            | HostResponse::Value(_)
            | HostResponse::Page(_)
            | HostResponse::Refused(_) => None,
        }
    }

    /// How often the call has drawn.
    pub fn draws(&self) -> u32 {
        let draws = self.facts.iter().filter(|fact| fact.is_draw());
        u32::try_from(draws.count()).unwrap_or(u32::MAX)
    }

    /// Whether every draw is what comes from there: the receipt of a call proves itself.
    pub fn draws_from(&self, server_seed: &Seed, component: &Digest, origin: &DrawOrigin) -> bool {
        let (mut mixed, mut index) = (String::new(), 0_u32);
        self.facts.iter().all(|fact| {
            if let (HostRequest::Mix { text }, HostResponse::Done) = (&fact.ask, &fact.answer) {
                mixed.push_str(text);
            }
            if !fact.is_draw() {
                return true;
            }
            let draw = Draw {
                server_seed,
                component,
                client_seed: &origin.client_seed,
                nonce: origin.nonce,
                mixed: &mixed,
                label: "",
                index,
            };
            index = index.saturating_add(1);
            fact.ask.drawn(&draw).as_ref() == Some(&fact.answer)
        })
    }

    /// The version of the plugin's installation that the call ran as.
    pub fn version(&self) -> u64 {
        self.version
    }
}

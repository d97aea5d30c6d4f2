//! The exchanges between a plugin's call and its host.

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

/// A request of a running plugin to its host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRequest {
    /// Reads a balance.
    Balance {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// Asks if an account could spend an amount.
    HasAtLeast {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The amount.
        amount: Amount,
    },
    /// Requests a movement.
    Transfer(Posting),
    /// Requests a hold.
    PlaceHold {
        /// The name of a hold rule in the manifest.
        rule: String,
        /// The amount to reserve, with its source and its destination.
        posting: Posting,
    },
    /// Requests a capture of a hold of the plugin.
    CaptureHold {
        /// The hold.
        hold: HoldId,
        /// The amount; absent, all that is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
    },
    /// Requests a release of a hold of the plugin.
    ReleaseHold {
        /// The hold.
        hold: HoldId,
    },
    /// Reads the amount that is left of a hold.
    HoldLeft {
        /// The hold.
        hold: HoldId,
    },
    /// Secures a hold, so that it can be captured or released after a draw.
    SecureHold {
        /// The hold.
        hold: HoldId,
    },
    /// Secures an amount of the plugin's own, so that it can be paid after a draw.
    Secure {
        /// The plugin's account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The amount.
        amount: Amount,
    },
    /// Draws a number from 0 to `range` − 1.
    Draw {
        /// The number of outcomes.
        range: u32,
        /// A description of the draw.
        label: String,
    },
    /// Draws an order of the numbers from 0 to `count` − 1.
    Shuffle {
        /// The count of numbers.
        count: u32,
        /// A description of the draw.
        label: String,
    },
    /// Draws bytes.
    Bytes {
        /// The count of bytes.
        count: u32,
        /// A description of the draw.
        label: String,
    },
    /// Mixes a text into all draws of the call.
    Mix {
        /// The text.
        text: String,
    },
    /// Reads the client seed of the caller.
    ClientSeed,
    /// Reads a value of the plugin's state.
    Get {
        /// The key.
        key: Arc<str>,
    },
    /// Sets a key of the plugin's state.
    Set {
        /// The key.
        key: Arc<str>,
        /// The new value.
        value: Arc<str>,
    },
    /// Deletes a key of the plugin's state.
    Delete {
        /// The key.
        key: Arc<str>,
    },
    /// Reads a page of keys of the plugin's state.
    List {
        /// The prefix of the keys.
        prefix: Arc<str>,
        /// The key at which the page starts.
        cursor: Option<Arc<str>>,
    },
    /// Requests a run of one of the plugin's schedules.
    Wake {
        /// The schedule.
        schedule: String,
        /// The moment from which on a run is requested.
        from: Timestamp,
    },
}

impl HostRequest {
    /// Returns the response to a draw; none if the request is not a draw.
    pub(crate) fn draw_response(&self, draw: &Draw<'_>) -> Option<HostResponse> {
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

    /// Returns true if the request is a draw.
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
    /// The amount that holds reserve.
    pub held: u64,
    /// The amount that can be spent.
    pub spendable: u64,
}

/// A page of keys of a plugin's state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatePage {
    /// The keys, ascending.
    pub keys: Vec<Arc<str>>,
    /// The key at which the next page starts; none after the last page.
    pub next: Option<Arc<str>>,
}

/// A refusal of a plugin's request. The request has no effect, and the call continues.
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
    /// The posting has the same account as source and destination.
    #[error("a movement has two different accounts")]
    SameAccount,
    /// The operator has not granted the request.
    #[error("the plugin has no grant to {what}")]
    NotGranted {
        /// The missing grant, with the way in which an operator grants it.
        what: String,
    },
    /// The caller would spend more than allowed in one call.
    #[error("{asked} {asset} would leave the caller, and at most {most} may")]
    OverLimit {
        /// The asset.
        asset: AssetId,
        /// The most that may leave the caller.
        most: Limit,
        /// The amount that would leave the caller in total.
        asked: u64,
    },
    /// The account cannot cover the amount to secure.
    #[error("the account cannot cover the amount")]
    InsufficientFunds,
    /// The receiving account could exceed its ceiling by the amount to secure or hold, or is not open.
    #[error("the receiving account could exceed its ceiling")]
    NoRoom,
    /// The plugin has no open hold of this id.
    #[error("the plugin has no open hold {hold}")]
    NoHold {
        /// The hold.
        hold: HoldId,
    },
    /// The manifest has no such hold rule.
    #[error("the manifest has no kind of hold `{rule}`")]
    NoHoldRule {
        /// The rule.
        rule: String,
    },
    /// The plugin has no such schedule.
    #[error("the plugin has no schedule `{schedule}`")]
    NoSchedule {
        /// The requested name.
        schedule: String,
    },
    /// The requested amount is larger than what is left of the hold.
    #[error("{left} are left of the hold {hold}")]
    HoldExceeded {
        /// The hold.
        hold: HoldId,
        /// The amount that is left.
        left: Amount,
    },
    /// The host has not set the origin of the draws, which is an internal error.
    #[error("internal error: the draws have no origin")]
    NoOrigin,
    /// The request is not allowed after a draw.
    #[error(
        "after a draw only secured amounts move: to the caller, to the plugin itself, or back to where a \
         grant let this call take as much"
    )]
    AfterDraw,
    /// The request exceeds the secured amounts, or concerns a hold that is not secured.
    #[error("the amount exceeds what was secured")]
    NotSecured,
}

/// A response of the host to a plugin's request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostResponse {
    /// A balance.
    Balance(VisibleBalance),
    /// The answer to a question with two answers.
    #[serde(rename = "whether")]
    Bool(bool),
    /// The id of the requested hold.
    Placed(HoldId),
    /// The amount that is left of a hold, if it is open.
    Left(Option<Amount>),
    /// The request was accepted.
    Done,
    /// A drawn number.
    Drawn(u32),
    /// A drawn order.
    Shuffled(Vec<u32>),
    /// Drawn bytes, as hexadecimal digits.
    Bytes(String),
    /// A client seed.
    Text(Arc<str>),
    /// No draw was made: the requests before it cannot be committed, and the call ends here.
    Ends(Rejection),
    /// A value of the state, if the key is set.
    Value(Option<Arc<str>>),
    /// A page of keys.
    Page(StatePage),
    /// A refusal.
    Refused(Refusal),
}

/// A request of a plugin with the host's response.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// The request.
    #[serde(rename = "ask")]
    pub request: HostRequest,
    /// The response.
    #[serde(rename = "answer")]
    pub response: HostResponse,
}

impl Exchange {
    /// Returns true if the exchange is a draw that was made.
    pub fn is_draw(&self) -> bool {
        let refused = matches!(
            self.response,
            HostResponse::Refused(_) | HostResponse::Ends(_)
        );
        self.request.is_draw() && !refused
    }
}

/// The exchanges of a call, with the version of the installation that it ran as.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Transcript {
    version: u64,
    #[serde(rename = "facts")]
    exchanges: Vec<Exchange>,
}

impl Transcript {
    pub(crate) fn new(version: u64, exchanges: Vec<Exchange>) -> Self {
        Self { version, exchanges }
    }

    /// Returns the exchanges, in order.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Returns the holds that the call placed, captured, released or secured, each once.
    pub fn holds(&self) -> impl Iterator<Item = HoldId> + use<> {
        let used = self.exchanges.iter().filter_map(|exchange| {
            match (&exchange.request, &exchange.response) {
                (HostRequest::PlaceHold { .. }, HostResponse::Placed(hold))
                | (
                    HostRequest::CaptureHold { hold, .. }
                    | HostRequest::ReleaseHold { hold }
                    | HostRequest::SecureHold { hold },
                    HostResponse::Done,
                ) => Some(*hold),
                (_, _) => None,
            }
        });
        used.collect::<BTreeSet<_>>().into_iter()
    }

    /// Returns the rejection that ended the call before its first draw, if there is one.
    pub(crate) fn ending_rejection(&self) -> Option<&Rejection> {
        match &self.exchanges.last()?.response {
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

    /// Returns the number of draws.
    pub fn draws(&self) -> u32 {
        let draws = self.exchanges.iter().filter(|exchange| exchange.is_draw());
        u32::try_from(draws.count()).unwrap_or(u32::MAX)
    }

    /// Returns true if every draw follows from the given origin. Anyone can verify a receipt by this.
    pub fn draws_from(&self, server_seed: &Seed, component: &Digest, origin: &DrawOrigin) -> bool {
        let mut mixed = String::new();
        let mut index = 0_u32;
        self.exchanges.iter().all(|exchange| {
            if let (HostRequest::Mix { text }, HostResponse::Done) =
                (&exchange.request, &exchange.response)
            {
                mixed.push_str(text);
            }
            if !exchange.is_draw() {
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
            exchange.request.draw_response(&draw).as_ref() == Some(&exchange.response)
        })
    }

    /// Returns the version of the installation that the call ran as.
    pub fn version(&self) -> u64 {
        self.version
    }
}

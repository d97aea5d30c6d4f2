//! Postings, asked for and made.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{AccountId, AssetId};
use crate::limits::POSTINGS_MAX;

/// One movement that is asked for: an amount of one asset, from one account to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// The account that gives.
    #[serde(rename = "from")]
    pub source: AccountId,
    /// The account that gets.
    #[serde(rename = "to")]
    pub destination: AccountId,
    /// What moves.
    pub asset: AssetId,
    /// How much of it moves.
    pub amount: Amount,
}

/// Why some postings are not a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PostingsError {
    /// There are none.
    #[error("a transfer has at least one posting")]
    Empty,
    /// There are too many.
    #[error("a transfer has at most {POSTINGS_MAX} postings")]
    TooMany,
    /// A posting gives to the account that it takes from.
    #[error("`from` and `to` of posting {index} are the same account")]
    SameAccount {
        /// Which posting, counted from 0.
        index: usize,
    },
}

/// The postings of one transfer: 1 to [`POSTINGS_MAX`], each between two different accounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Posting>")]
pub struct Postings(Vec<Posting>);

impl Postings {
    /// The postings of a transfer, unless they cannot be one.
    pub fn new(postings: Vec<Posting>) -> Result<Self, PostingsError> {
        if postings.is_empty() {
            return Err(PostingsError::Empty);
        }
        if postings.len() > POSTINGS_MAX {
            return Err(PostingsError::TooMany);
        }
        match postings.iter().position(|p| p.source == p.destination) {
            Some(index) => Err(PostingsError::SameAccount { index }),
            None => Ok(Self(postings)),
        }
    }

    /// The postings, in the order given.
    pub fn as_slice(&self) -> &[Posting] {
        &self.0
    }

    /// What takes these postings back: the last one first, each from where it went.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let back = |posting: &Posting| Posting {
            source: posting.destination.clone(),
            destination: posting.source.clone(),
            ..posting.clone()
        };
        Self(self.0.iter().rev().map(back).collect())
    }
}

impl TryFrom<Vec<Posting>> for Postings {
    type Error = PostingsError;

    fn try_from(postings: Vec<Posting>) -> Result<Self, PostingsError> {
        Self::new(postings)
    }
}

/// A posting that was made, with the balances right after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Movement {
    /// Which transfer of its batch it is part of, counted from 0; 0 where there is no batch.
    pub part: u32,
    /// What moved.
    pub posting: Posting,
    /// What the source has posted now.
    pub source_after: i64,
    /// What the destination has posted now.
    pub destination_after: i64,
}

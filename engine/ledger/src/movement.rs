//! Postings, and the movements that they become.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{AccountId, AssetId};
use crate::limits::POSTINGS_MAX;
use crate::number::{AccountNumber, AssetNumber};

/// A requested movement: an amount of one asset, from one account to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// The paying account.
    #[serde(rename = "from")]
    pub source: AccountId,
    /// The receiving account.
    #[serde(rename = "to")]
    pub destination: AccountId,
    /// The asset.
    pub asset: AssetId,
    /// The amount.
    pub amount: Amount,
}

/// The error of postings that are not a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PostingsError {
    /// The list is empty.
    #[error("a transfer has at least one posting")]
    Empty,
    /// The list is too long.
    #[error("a transfer has at most {POSTINGS_MAX} postings")]
    TooMany,
    /// The source and the destination of a posting are equal.
    #[error("`from` and `to` of posting {index} are the same account")]
    SameAccount {
        /// The index of the posting.
        index: usize,
    },
}

/// The postings of one transfer: 1 to [`POSTINGS_MAX`], each between two different accounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Posting>")]
pub struct Postings(Vec<Posting>);

impl Postings {
    /// Creates the postings of a transfer. Returns an error if there are none or too many, or if one has
    /// equal accounts.
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

    /// Returns the postings in their order.
    pub fn as_slice(&self) -> &[Posting] {
        &self.0
    }

    /// Returns the postings that undo these ones: from the last to the first, each with its accounts
    /// exchanged.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let reverse = |posting: &Posting| Posting {
            source: posting.destination.clone(),
            destination: posting.source.clone(),
            ..posting.clone()
        };
        Self(self.0.iter().rev().map(reverse).collect())
    }
}

impl TryFrom<Vec<Posting>> for Postings {
    type Error = PostingsError;

    fn try_from(postings: Vec<Posting>) -> Result<Self, PostingsError> {
        Self::new(postings)
    }
}

/// A posting that was made, with the balances directly after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Movement {
    /// The index of its transfer in a batch; 0 without a batch.
    pub part: u32,
    /// The posting.
    pub posting: Posting,
    /// The source's balance after the posting.
    pub source_after: i64,
    /// The destination's balance after the posting.
    pub destination_after: i64,
}

/// A movement with numbers in place of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NumberedMovement {
    /// The index of its transfer in a batch; 0 without a batch.
    pub part: u32,
    /// The paying account.
    pub source: AccountNumber,
    /// The receiving account.
    pub destination: AccountNumber,
    /// The asset.
    pub asset: AssetNumber,
    /// The amount.
    pub amount: Amount,
    /// The source's balance after the posting.
    pub source_after: i64,
    /// The destination's balance after the posting.
    pub destination_after: i64,
}

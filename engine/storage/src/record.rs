//! Records of the log, their texts, and the hash chain of an economy.

use std::borrow::Cow;
use std::fmt;

use bursar_ledger::{
    Act, Books, Change, Digest, EconomyId, Movement, NumberedMovement, Sha256Writer, Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::StorageError;

/// The version of Bursar that new records carry.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The text of an empty list of changes.
pub(crate) const NO_CHANGES: &str = "[]";

/// The outcome of an act, as a record states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The act took effect.
    Applied,
    /// The ledger rejected the act.
    Rejected,
    /// The plugin declined the call.
    Declined,
    /// The call ended with a fault of the plugin.
    Faulted,
    /// The call failed after a draw.
    Broken,
}

impl Outcome {
    /// All outcomes, in the order of their codes in the log.
    const ALL: [Self; 5] = [
        Self::Applied,
        Self::Rejected,
        Self::Declined,
        Self::Faulted,
        Self::Broken,
    ];

    /// Returns the name that events and exports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Declined => "declined",
            Self::Faulted => "faulted",
            Self::Broken => "broken",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }

    /// Returns the code that the log uses.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Applied => 0,
            Self::Rejected => 1,
            Self::Declined => 2,
            Self::Faulted => 3,
            Self::Broken => 4,
        }
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// The number of an economy in its file, in the order in which the economies were opened, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct EconomyNumber(pub(crate) u32);

/// The random bytes that are hashed with the texts of a record, so that a text that was removed cannot be guessed from
/// its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

/// The source of salts. Its secret is never stored, so a salt that was removed cannot be computed again.
#[derive(Clone, Copy)]
pub(crate) struct Salts(pub(crate) [u8; 32]);

impl Salts {
    /// Returns the salt of a record.
    pub(crate) fn of(&self, record: u64) -> Salt {
        let mut hash = Sha256Writer::new("bursar-salt-1");
        hash.text(self.0);
        hash.number(record);
        let digest = hash.finish();
        let half = digest.as_bytes().first_chunk();
        Salt(half.copied().unwrap_or_default())
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts")
    }
}

/// A record: a request, the act that it became, the effects and the answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    /// The number of the record in its file, without gaps, from 1.
    pub(crate) id: u64,
    pub(crate) economy: EconomyId,
    pub(crate) number: EconomyNumber,
    /// The number of the record in its economy, without gaps, from 1.
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    /// The version of Bursar that wrote the record. The audit repeats the decisions of its own version only.
    pub(crate) version: Cow<'static, str>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    pub(crate) salt: Salt,
    pub(crate) actor: String,
    pub(crate) key: Option<String>,
    pub(crate) request: String,
    pub(crate) act: String,
    pub(crate) changes: String,
    pub(crate) answer: Bytes,
    /// The number in the file of the record's first movement, or of the next record's if it has none.
    pub(crate) first_movement: u64,
    pub(crate) movements: Vec<NumberedMovement>,
}

/// The place of a record in the hash chain of its economy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChainLink {
    /// The hash of the economy's previous record.
    pub(crate) previous: Digest,
    /// The hash of the record, which covers all records before it.
    pub(crate) hash: Digest,
}

impl Record {
    /// Computes the hash of the record after `previous`.
    ///
    /// The hash covers the effects by number and amount, and the texts by two commitments with a salt, so that texts
    /// can be removed later while the chain stays verifiable. It leaves out the numbers that belong to the file, so
    /// that an economy keeps its hashes when it moves to another file; those numbers are checked by counting.
    pub(crate) fn hash(&self, previous: &Digest) -> Digest {
        let mut hash = Sha256Writer::new("bursar-record-2");
        hash.text(previous.as_bytes());
        hash.text(self.economy.as_str());
        hash.number(self.seq);
        hash.number(self.epoch);
        hash.text(&*self.version);
        hash.number(self.recorded_at.0);
        hash.text(&*self.kind);
        hash.number(u64::from(self.outcome.code()));
        hash.number(u64::from(self.status));
        hash.text(self.commit_to_texts().as_bytes());
        // Most records have no changes, and there is nothing to hide in them.
        if self.has_changes() {
            hash.number(1);
            hash.text(self.commit_to_changes().as_bytes());
        } else {
            hash.number(0);
        }
        for movement in &self.movements {
            hash.number(u64::from(movement.part));
            hash.number(u64::from(movement.source.0));
            hash.number(u64::from(movement.destination.0));
            hash.number(u64::from(movement.asset.0));
            hash.number(movement.amount.get());
            hash.balance(movement.source_after);
            hash.balance(movement.destination_after);
        }
        hash.finish()
    }

    /// Returns the place of the record in the chain after `previous`.
    pub(crate) fn link(&self, previous: Digest) -> ChainLink {
        ChainLink {
            previous,
            hash: self.hash(&previous),
        }
    }

    fn commit_to_texts(&self) -> Digest {
        let mut hash = Sha256Writer::new("bursar-texts-1");
        hash.text(self.salt.0);
        hash.text(&self.actor);
        hash.optional(self.key.as_deref());
        hash.text(&self.request);
        hash.text(&self.act);
        hash.text(&self.answer);
        hash.finish()
    }

    /// Returns true if the record has effects other than movements.
    fn has_changes(&self) -> bool {
        self.changes != NO_CHANGES
    }

    /// Commits to the changes with a salt of their own, from which the salt of the texts cannot be computed. A record
    /// whose texts and salt were removed keeps the salt of its changes, so that these can still be checked.
    fn commit_to_changes(&self) -> Digest {
        let mut salt = Sha256Writer::new("bursar-changes-salt-1");
        salt.text(self.salt.0);
        let mut hash = Sha256Writer::new("bursar-changes-1");
        hash.text(salt.finish().as_bytes());
        hash.text(&self.changes);
        hash.finish()
    }

    /// Returns the number in the file of the first movement after the record's own.
    pub(crate) fn next_movement(&self) -> u64 {
        self.first_movement
            .saturating_add(self.movements.len() as u64)
    }

    /// Returns the effects of the record other than movements.
    pub(crate) fn changes(&self) -> Result<Vec<Change>, StorageError> {
        serde_json::from_str(&self.changes)
            .map_err(|error| StorageError::damaged(self.id, format!("its changes: {error}")))
    }

    /// Returns the act.
    pub(crate) fn act(&self) -> Result<Act, StorageError> {
        serde_json::from_str(&self.act)
            .map_err(|error| StorageError::damaged(self.id, format!("its act: {error}")))
    }

    /// Returns the movements, with names of accounts and assets in place of numbers.
    pub(crate) fn named_movements(&self, books: &Books) -> Result<Vec<Movement>, StorageError> {
        let named = self.movements.iter().map(|it| books.name_movement(it));
        let named: Option<Vec<Movement>> = named.collect();
        named.ok_or_else(|| StorageError::damaged(self.id, "a movement names no account"))
    }

    /// Returns the stored answer.
    pub(crate) fn stored_answer(self) -> StoredAnswer {
        StoredAnswer {
            request: self.request,
            status: self.status,
            body: self.answer,
        }
    }
}

/// The result of looking an idempotency key up with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyLookup {
    /// The key belongs to the same request, which has this answer.
    Same(StoredAnswer),
    /// The key belongs to another request.
    Other,
}

/// An answer in the log, with its request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAnswer {
    /// The canonical text of the request.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

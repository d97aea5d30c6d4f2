//! One record of the journal: what was asked, what was decided, what changed, and the hash of it.

use bursar_ledger::{
    Change, Decision, Digest, EconomyId, HistoryLink, Movement, Sha256Writer, Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::StorageError;

/// This version of bursar, as records name it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How an act ended, as a record says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened.
    Applied,
    /// The ledger said no.
    Rejected,
    /// The plugin said no.
    Declined,
    /// The plugin misbehaved.
    Faulted,
    /// A call has drawn and could not be brought to an end.
    Broken,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Applied,
        Self::Rejected,
        Self::Declined,
        Self::Faulted,
        Self::Broken,
    ];

    /// Its word in the journal.
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
}

/// A movement with its number in the file and its links.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) movement: Movement,
    pub(crate) link: HistoryLink,
}

impl Entry {
    /// A movement that has no place in a file yet.
    pub(crate) fn unplaced(movement: Movement) -> Self {
        let link = HistoryLink {
            source_previous: None,
            destination_previous: None,
        };
        Self {
            number: 0,
            movement,
            link,
        }
    }
}

/// A record, as it is written and read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) economy: EconomyId,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    /// Which version of bursar wrote it. The audit decides again what its own version wrote.
    pub(crate) version: String,
    pub(crate) recorded_at: Timestamp,
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) key: Option<String>,
    pub(crate) request: String,
    pub(crate) act: String,
    pub(crate) outcome: Outcome,
    pub(crate) changes: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) status: u16,
    pub(crate) answer: Bytes,
    pub(crate) previous: Digest,
    pub(crate) hash: Digest,
}

impl Record {
    /// The hash over everything that the record says within its economy, and over the hash of the
    /// economy's record before it. Numbers that belong to the file (`id`, movement numbers and
    /// links) are left out, so that an economy keeps its hashes in another file; they are checked
    /// by counting.
    pub(crate) fn compute_hash(&self) -> Digest {
        let mut hash = Sha256Writer::new("bursar-record-1");
        hash.text(self.previous.as_bytes());
        hash.text(self.economy.as_str());
        hash.number(self.seq);
        hash.number(self.epoch);
        hash.text(&self.version);
        hash.number(self.recorded_at.0);
        hash.text(&self.kind);
        hash.text(&self.actor);
        hash.optional(self.key.as_deref());
        hash.text(&self.request);
        hash.text(&self.act);
        hash.text(self.outcome.as_str());
        hash.text(&self.changes);
        hash.number(u64::from(self.status));
        hash.text(&self.answer);
        for Entry { movement, .. } in &self.entries {
            hash.number(u64::from(movement.part));
            hash.text(movement.posting.source.as_str());
            hash.text(movement.posting.destination.as_str());
            hash.text(movement.posting.asset.as_str());
            hash.number(movement.posting.amount.get());
            hash.balance(movement.source_after);
            hash.balance(movement.destination_after);
        }
        hash.finish()
    }

    /// The record's effects.
    pub(crate) fn decision(&self) -> Result<Decision, StorageError> {
        let changes: Vec<Change> = serde_json::from_str(&self.changes)
            .map_err(|error| StorageError::damaged(self.id, format!("its changes: {error}")))?;
        let movements = self
            .entries
            .iter()
            .map(|entry| entry.movement.clone())
            .collect();
        Ok(Decision::recorded(movements, changes))
    }
}

/// What a key stands for, as far as the request that comes under it again needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyLookup {
    /// The same request: this is its answer.
    Same(StoredAnswer),
    /// Another one.
    Other,
}

/// An answer that was given before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAnswer {
    /// What was asked, in its canonical text.
    pub request: String,
    /// The answer's status.
    pub status: u16,
    /// The answer's body, byte for byte.
    pub body: Bytes,
}

//! Records of the journal, and their hashes.

use bursar_ledger::{
    Change, Decision, Digest, EconomyId, HistoryLink, Movement, Sha256Writer, Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::StorageError;

/// The version of Bursar that new records carry.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// The call was a fault of the plugin.
    Faulted,
    /// The call failed after a draw.
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

    /// Returns the name that records use.
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
    /// Creates an entry that has no number and no links yet.
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

/// A record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) economy: EconomyId,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    /// The version of Bursar that wrote the record. The audit repeats the decisions of its own version only.
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
    /// Computes the hash over the hash of the economy's previous record and over everything that this record
    /// says within its economy. It leaves out the numbers that belong to the file (`id`, movement numbers and
    /// links), so that an economy keeps its hashes when it moves to another file; those numbers are checked by
    /// counting.
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

    /// Returns the effects of the record.
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

/// The result of looking an idempotency key up with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyLookup {
    /// The key belongs to the same request, which has this answer.
    Same(StoredAnswer),
    /// The key belongs to another request.
    Other,
}

/// An answer in the journal, with its request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAnswer {
    /// The canonical text of the request.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

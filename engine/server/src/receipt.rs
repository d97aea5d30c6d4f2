//! Receipts of calls: all that it takes to run a call again, and to see that it went as it says.

mod effects;

use bursar_ledger::{
    Amount, CallResult, Change, Digest, EconomyId, HoldId, Installation, Movement, Posting, Seed,
    Timestamp,
};
use bursar_storage::{CallRecord, HoldHistory, Outcome};
use serde::{Deserialize, Serialize};

pub use effects::EffectsError;

/// The receipt of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Whose books.
    pub economy: EconomyId,
    /// Its number in the economy's journal.
    pub seq: u64,
    /// The version of bursar that ran it.
    pub version: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
    /// Who asked: the name of an API key.
    pub actor: String,
    /// The idempotency key under which it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was asked of the plugin, everything that it asked and was told, and how it ended.
    pub call: CallResult,
    /// How the plugin was installed when it ran; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The holds of earlier calls that it captured, gave back or secured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<ReceiptHold>,
    /// What moved.
    pub postings: Vec<Posting>,
    /// What else changed: holds, the plugin's keys, what was drawn.
    pub changes: Vec<Change>,
    /// The commitment to the server seed, and the seed once it is public; absent if nothing was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<ReceiptSeed>,
}

/// A hold of an earlier call, as it was before this one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptHold {
    /// Which hold.
    pub hold: HoldId,
    /// The posting that captures all that was left of it.
    pub left: Posting,
}

impl ReceiptHold {
    /// A hold of which something was left.
    fn new(hold: HoldId, history: HoldHistory) -> Option<Self> {
        let left = history.placed.remaining.get().checked_sub(history.captured);
        let left = Posting {
            amount: left.and_then(Amount::new)?,
            ..history.placed.reservation.into()
        };
        Some(Self { hold, left })
    }
}

/// The server seed of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptSeed {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its bytes, public before anything was drawn from it.
    pub commitment: Digest,
    /// The seed, once it is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
}

impl Receipt {
    /// A receipt of what the journal says.
    pub fn new(economy: EconomyId, record: CallRecord, seed: Option<ReceiptSeed>) -> Self {
        let posting = |movement: Movement| movement.posting;
        let holds = record.holds.into_iter();
        let holds = holds.filter_map(|(hold, history)| ReceiptHold::new(hold, history));
        Self {
            economy,
            seq: record.seq,
            version: record.version,
            recorded_at: record.recorded_at,
            hash: record.hash,
            actor: record.actor,
            idempotency_key: record.key,
            outcome: record.outcome,
            call: record.call,
            installation: record.installation,
            holds: holds.collect(),
            postings: record.movements.into_iter().map(posting).collect(),
            changes: record.changes,
            seed,
        }
    }

    /// Whether the seed is the one that was committed to, and every draw comes from it.
    pub fn check_draws(&self, told: Option<Seed>) -> Draws {
        let Some((origin, seed)) = self.call.origin.as_ref().zip(self.seed) else {
            return match self.call.origin {
                None if self.call.transcript.draws() == 0 => Draws::None,
                None | Some(_) => Draws::NotFromThere,
            };
        };
        let Some(server_seed) = told.or(seed.seed) else {
            return Draws::Hidden;
        };
        if server_seed.commitment() != seed.commitment || origin.seed != seed.number {
            return Draws::NotCommitted;
        }
        let transcript = &self.call.transcript;
        if transcript.draws_from(&server_seed, &self.call.component, origin) {
            Draws::Made(transcript.draws())
        } else {
            Draws::NotFromThere
        }
    }

    /// Whether what moved and changed is what the call asked for, no less and no more.
    pub fn check_effects(&self) -> Result<(), EffectsError> {
        effects::check(self)
    }
}

/// What became of the draws of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Draws {
    /// Nothing was drawn.
    None,
    /// So many were made again.
    Made(u32),
    /// The seed is not public yet.
    Hidden,
    /// The seed is not the one that was committed to.
    NotCommitted,
    /// Something else was drawn than what comes from the seed.
    NotFromThere,
}

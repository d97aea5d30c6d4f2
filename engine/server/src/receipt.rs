//! Receipts of calls: all data that is needed to run a call again and to verify its result.

mod effects;

use bursar_ledger::{
    Amount, CallResult, Change, Digest, EconomyId, HoldId, Installation, Movement, Posting, Seed,
    Timestamp,
};
use bursar_storage::{CallRecord, HoldHistory, Outcome};
use serde::{Deserialize, Serialize};

pub use effects::{EffectsError, check_effects};

/// The receipt of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The economy of the call.
    pub economy: EconomyId,
    /// The number of the record in the economy's log.
    pub seq: u64,
    /// The version of Bursar that ran the call.
    pub version: String,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
    /// The name of the API key of the request.
    pub actor: String,
    /// The idempotency key of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The outcome of the call.
    pub outcome: Outcome,
    /// The request to the plugin, the transcript of its run, and its ending.
    pub call: CallResult,
    /// The installation of the plugin when it ran; absent if it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The holds of earlier calls that this call captured, released or secured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<ReceiptHold>,
    /// The postings of the call's transfer.
    pub postings: Vec<Posting>,
    /// All other changes: holds, the plugin's state, draws.
    pub changes: Vec<Change>,
    /// The commitment to the server seed, and the seed once it is public; absent without draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<ReceiptSeed>,
}

/// A hold of an earlier call, as it was before this call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptHold {
    /// The id of the hold.
    pub hold: HoldId,
    /// The posting that would capture the rest of the hold.
    pub left: Posting,
}

impl ReceiptHold {
    /// Creates the entry of a hold. Returns none if nothing of it was left.
    fn new(hold: HoldId, history: HoldHistory) -> Option<Self> {
        let left = history.placed.remaining.get().checked_sub(history.captured);
        let left = Posting {
            amount: left.and_then(Amount::new)?,
            ..history.placed.reservation.into()
        };
        Some(Self { hold, left })
    }
}

/// The server seed of a receipt's draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptSeed {
    /// The number of the seed.
    pub number: u64,
    /// The SHA-256 hash of its bytes, public before the first draw from it.
    pub commitment: Digest,
    /// The seed, once it is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
}

impl Receipt {
    /// Creates the receipt of a record.
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

    /// Checks that the seed matches its commitment and that all draws come from it. `published` replaces the seed of the
    /// receipt.
    pub fn check_draws(&self, published: Option<Seed>) -> DrawCheck {
        let Some((origin, seed)) = self.call.origin.as_ref().zip(self.seed) else {
            return match self.call.origin {
                None if self.call.transcript.draws() == 0 => DrawCheck::NoDraws,
                None | Some(_) => DrawCheck::WrongDraws,
            };
        };
        let Some(server_seed) = published.or(seed.seed) else {
            return DrawCheck::SeedHidden;
        };
        if server_seed.commitment() != seed.commitment || origin.seed != seed.number {
            return DrawCheck::WrongSeed;
        }
        let transcript = &self.call.transcript;
        if transcript.draws_from(&server_seed, &self.call.component, origin) {
            DrawCheck::Passed(transcript.draws())
        } else {
            DrawCheck::WrongDraws
        }
    }
}

/// The result of a check of draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrawCheck {
    /// The call made no draws.
    NoDraws,
    /// All draws come from the seed; their number.
    Passed(u32),
    /// The seed is not public yet.
    SeedHidden,
    /// The seed does not match its commitment.
    WrongSeed,
    /// The draws do not come from the seed.
    WrongDraws,
}

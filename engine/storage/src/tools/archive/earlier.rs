//! Records of the export format 1, which earlier builds wrote: movements by name, and one hash over all texts.
//!
//! Their chain is checked as those builds made it. The chain of the imported economy begins anew, because the hashes of
//! this version cover other bytes; each record keeps the beginning of its earlier hash as its salt, so that a head that
//! was reported earlier is still found.

use bursar_ledger::{Digest, EconomyId, Movement, Sha256Writer, Timestamp};
use serde::Deserialize;

use super::PlainMovementLine;
use crate::record::{EconomyNumber, Outcome, Record, Salt};

/// The number of the format.
pub(super) const FORMAT: u32 = 1;

/// The end of the version of an imported record. It tells the builds before the log from those after it.
const VERSION_SUFFIX: &str = "+export.1";

/// A record as format 1 writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EarlierRecordLine {
    seq: u64,
    epoch: u64,
    version: String,
    recorded_at: Timestamp,
    kind: String,
    actor: String,
    #[serde(default)]
    idempotency_key: Option<String>,
    request: String,
    act: String,
    outcome: String,
    changes: String,
    #[serde(default)]
    movements: Vec<PlainMovementLine>,
    status: u16,
    answer: String,
    previous: Digest,
    hash: Digest,
}

impl EarlierRecordLine {
    /// Returns the hash of the record, which the next one names.
    pub(super) fn hash(&self) -> Digest {
        self.hash
    }

    /// Returns the opening of its file in which the record was written.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Checks the line against the one before it, and converts it to a record without the numbers of a file and without
    /// movements, which are returned by name.
    pub(super) fn into_record(
        self,
        economy: EconomyId,
        previous: Digest,
    ) -> Result<(Record, Vec<Movement>), String> {
        let outcome = Outcome::parse(&self.outcome).ok_or("an unknown outcome")?;
        if self.previous != previous {
            return Err("it does not follow its economy's record before it".into());
        }
        if self.compute_hash(&economy) != self.hash {
            return Err("its hash is not that of its content".into());
        }
        let start = self.hash.as_bytes().first_chunk();
        let salt = Salt(start.copied().unwrap_or_default());
        let named = self.movements.into_iter().map(PlainMovementLine::named);
        let named = named.collect();
        let record = Record {
            id: 0,
            economy,
            number: EconomyNumber(0),
            seq: self.seq,
            epoch: self.epoch,
            // Its answers had another form, so the audit does not render them again.
            version: format!("{}{VERSION_SUFFIX}", self.version),
            recorded_at: self.recorded_at,
            kind: self.kind,
            actor: self.actor,
            key: self.idempotency_key,
            request: self.request,
            act: self.act,
            outcome,
            changes: self.changes,
            first_movement: 0,
            movements: Vec::new(),
            status: self.status,
            answer: self.answer.into(),
            salt,
        };
        Ok((record, named))
    }

    fn compute_hash(&self, economy: &EconomyId) -> Digest {
        let mut hash = Sha256Writer::new("bursar-record-1");
        hash.text(self.previous.as_bytes());
        hash.text(economy.as_str());
        hash.number(self.seq);
        hash.number(self.epoch);
        hash.text(&self.version);
        hash.number(self.recorded_at.0);
        hash.text(&self.kind);
        hash.text(&self.actor);
        hash.optional(self.idempotency_key.as_deref());
        hash.text(&self.request);
        hash.text(&self.act);
        hash.text(&self.outcome);
        hash.text(&self.changes);
        hash.number(u64::from(self.status));
        hash.text(&self.answer);
        for movement in &self.movements {
            hash.number(u64::from(movement.part));
            hash.text(movement.from.as_str());
            hash.text(movement.to.as_str());
            hash.text(movement.asset.as_str());
            hash.number(movement.amount.get());
            hash.balance(movement.from_after);
            hash.balance(movement.to_after);
        }
        hash.finish()
    }
}

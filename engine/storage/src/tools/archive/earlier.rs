//! Records of the export format 1, which earlier builds wrote: movements by name, and one hash over all texts.
//!
//! Their chain is checked as those builds made it. The imported economy has a new chain, because the hashes of
//! this version cover other bytes; each record keeps the beginning of its earlier hash as its salt, so that a head that
//! was reported earlier is still found.

use bursar_ledger::{Digest, EconomyId, Movement, Sha256Writer};

use super::RecordLine;
use crate::record::{Record, Salt};

/// The number of the format.
pub(super) const FORMAT: u32 = 1;

/// The end of the version of an imported record. It tells the builds before the log from those after it.
const VERSION_SUFFIX: &str = "+export.1";

/// Checks a line of format 1 against the one before it, and converts it to a record without the numbers of a file and
/// without movements, which are returned by name.
pub(super) fn into_record(
    line: RecordLine,
    economy: EconomyId,
    previous: Digest,
) -> Result<(Record, Vec<Movement>), String> {
    if line.salt.is_some() || line.movements.iter().any(|it| it.numbers.is_some()) {
        return Err("it has members that format 1 does not have".into());
    }
    if line.previous != previous {
        return Err("it does not follow its economy's record before it".into());
    }
    let hash = line.hash;
    if compute_hash(&line, &economy) != hash {
        return Err("its hash is not that of its content".into());
    }
    let start = hash.as_bytes().first_chunk();
    let salt = Salt(start.copied().unwrap_or_default());
    let (record, named) = line.into_plain_record(economy, salt)?;
    let record = Record {
        // Its answers had another form, so the audit does not render them again.
        version: format!("{}{VERSION_SUFFIX}", record.version).into(),
        ..record
    };
    Ok((record, named))
}

fn compute_hash(line: &RecordLine, economy: &EconomyId) -> Digest {
    let mut hash = Sha256Writer::new("bursar-record-1");
    hash.text(line.previous.as_bytes());
    hash.text(economy.as_str());
    hash.number(line.seq);
    hash.number(line.epoch);
    hash.text(&line.version);
    hash.number(line.recorded_at.0);
    hash.text(&line.kind);
    hash.text(&line.actor);
    hash.optional(line.idempotency_key.as_deref());
    hash.text(&line.request);
    hash.text(&line.act);
    hash.text(&line.outcome);
    hash.text(&line.changes);
    hash.number(u64::from(line.status));
    hash.text(&line.answer);
    for movement in &line.movements {
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

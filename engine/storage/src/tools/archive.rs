//! The export format: an economy's journal as lines of JSON, which can be imported into another file.
//!
//! The first line names the economy. The components of its plugins follow, then its records with
//! everything that their hashes cover. The last line holds the number of lines and the head of the journal,
//! so that missing, altered and reordered lines are detected. Numbers that belong to a file (of records,
//! of movements, links) are left out.

mod export;
mod import;
mod lines;

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bursar_ledger::{
    AccountId, Amount, AssetId, Digest, EconomyId, Movement, Posting, Sha256Writer, Timestamp,
};
use serde::{Deserialize, Serialize};

pub(crate) use export::export;
#[cfg(test)]
pub(crate) use import::EPOCH_MAX;
pub(crate) use import::import;
pub use import::{ImportContext, ImportReport};

use crate::error::StorageError;
use crate::record::{Entry, Outcome, Record};

/// The version of the export format.
const FORMAT: u32 = 1;

/// The maximum length of a line in bytes, which exceeds the largest component in base64.
pub const LINE_BYTES_MAX: u64 = 48 << 20;

/// An error of an export or an import. A failed import leaves the file unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The economy does not exist.
    #[error("the file has no economy `{0}`")]
    NoEconomy(EconomyId),
    /// The economy exists already.
    #[error("the file already has an economy `{0}`: import it into another file")]
    Exists(EconomyId),
    /// The economy is reserved for the file itself.
    #[error("`{0}` is reserved for its file and cannot be moved to another")]
    Reserved(EconomyId),
    /// A line is invalid.
    #[error("line {line}: {what}; nothing was imported")]
    Line {
        /// The number of the line, counted from 1.
        line: u64,
        /// A description of the error.
        what: String,
    },
    /// The input ends without a closing line.
    #[error(
        "the input is truncated after line {0}: its closing line is missing; nothing was imported"
    )]
    Cut(u64),
    /// The time of the newest record is in the future, and so every later record would be.
    #[error(
        "the newest record of `{0}` is later than the clock of this machine; nothing was imported. If this \
         clock is right, run `bursar clock set` on the file that the lines come from, and export it again"
    )]
    Future(EconomyId),
    /// The output of the export failed.
    #[error("the lines could not be written: {0}")]
    Io(#[from] io::Error),
    /// The database file could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A line of an export.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Economy(OpeningLine),
    Component(ComponentLine),
    Record(Box<RecordLine>),
    End(ClosingLine),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningLine {
    format: u32,
    /// The version of Bursar that exported. Each record names the version that wrote it.
    version: String,
    economy: EconomyId,
}

/// A component that a plugin of the economy needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentLine {
    digest: Digest,
    name: String,
    version: String,
    /// The bytes in base64.
    bytes: String,
}

/// A record with everything that its hash covers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    seq: u64,
    /// The epoch of the original file in which it was written.
    epoch: u64,
    version: String,
    recorded_at: Timestamp,
    kind: String,
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    request: String,
    act: String,
    outcome: String,
    changes: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    movements: Vec<MovementLine>,
    status: u16,
    answer: String,
    previous: Digest,
    hash: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MovementLine {
    part: u32,
    from: AccountId,
    to: AccountId,
    asset: AssetId,
    amount: Amount,
    from_after: i64,
    to_after: i64,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClosingLine {
    records: u64,
    components: u64,
    head: Digest,
    /// The hash of the bytes of all lines before this one.
    digest: Digest,
}

/// Creates the hash of the lines.
fn lines_hash() -> Sha256Writer {
    Sha256Writer::new("bursar-export-1")
}

impl ComponentLine {
    fn new(digest: Digest, name: String, version: String, bytes: &[u8]) -> Self {
        let bytes = BASE64_STANDARD.encode(bytes);
        Self {
            digest,
            name,
            version,
            bytes,
        }
    }

    fn decoded(&self) -> Result<Vec<u8>, String> {
        let bytes = BASE64_STANDARD.decode(&self.bytes);
        let bytes = bytes.map_err(|error| format!("the component's bytes: {error}"))?;
        if Digest::of(&bytes) == self.digest {
            Ok(bytes)
        } else {
            Err("the component's bytes are not those that its digest names".into())
        }
    }
}

impl RecordLine {
    fn of(record: Record) -> Result<Self, StorageError> {
        let answer = String::from_utf8(record.answer.to_vec())
            .map_err(|error| StorageError::damaged(record.id, error))?;
        let movements = record
            .entries
            .into_iter()
            .map(|entry| MovementLine::of(entry.movement));
        Ok(Self {
            seq: record.seq,
            epoch: record.epoch,
            version: record.version,
            recorded_at: record.recorded_at,
            kind: record.kind,
            actor: record.actor,
            idempotency_key: record.key,
            request: record.request,
            act: record.act,
            outcome: record.outcome.as_str().into(),
            changes: record.changes,
            movements: movements.collect(),
            status: record.status,
            answer,
            previous: record.previous,
            hash: record.hash,
        })
    }

    /// Converts the line to a record without the numbers and links of a file.
    fn into_record(self, economy: EconomyId) -> Result<Record, String> {
        let outcome = Outcome::parse(&self.outcome).ok_or("an unknown outcome")?;
        let entries = self.movements.into_iter().map(MovementLine::into_entry);
        Ok(Record {
            id: 0,
            economy,
            seq: self.seq,
            epoch: self.epoch,
            version: self.version,
            recorded_at: self.recorded_at,
            kind: self.kind,
            actor: self.actor,
            key: self.idempotency_key,
            request: self.request,
            act: self.act,
            outcome,
            changes: self.changes,
            entries: entries.collect(),
            status: self.status,
            answer: self.answer.into(),
            previous: self.previous,
            hash: self.hash,
        })
    }
}

impl MovementLine {
    fn of(movement: Movement) -> Self {
        let Movement {
            part,
            posting,
            source_after,
            destination_after,
        } = movement;
        Self {
            part,
            from: posting.source,
            to: posting.destination,
            asset: posting.asset,
            amount: posting.amount,
            from_after: source_after,
            to_after: destination_after,
        }
    }

    fn into_entry(self) -> Entry {
        let posting = Posting {
            source: self.from,
            destination: self.to,
            asset: self.asset,
            amount: self.amount,
        };
        Entry::unplaced(Movement {
            part: self.part,
            posting,
            source_after: self.from_after,
            destination_after: self.to_after,
        })
    }
}

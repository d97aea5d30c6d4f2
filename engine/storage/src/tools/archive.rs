//! An economy's journal as lines of JSON, with which it moves to another file.
//!
//! The first line says which economy it is, then come the components that its plugins need, then its
//! records with everything that their hashes cover, and the last line says how many there were and
//! which head they end in: so whatever is cut, altered or out of order shows. Numbers that belong to
//! a file (of records, of movements, links) are not in it.

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

/// The format of the lines.
const FORMAT: u32 = 1;

/// Bytes in one line: a component of the largest size, in base64, and more.
pub const LINE_BYTES_MAX: u64 = 48 << 20;

/// Why an economy is not exported or imported. After a failed import the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such economy.
    #[error("the file has no economy `{0}`")]
    NoEconomy(EconomyId),
    /// The economy is there already.
    #[error("the file has an economy `{0}` already: import it into another file")]
    Exists(EconomyId),
    /// The economy belongs to the file itself.
    #[error("`{0}` belongs to its file, and is not moved to another")]
    Reserved(EconomyId),
    /// A line says what cannot be.
    #[error("line {line}: {what}; nothing was imported")]
    Line {
        /// Which, counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The input has no last line.
    #[error("the input ends after line {0}, before its last one: it was cut; nothing was imported")]
    Cut(u64),
    /// The newest record is of a time to come, and so would every later one of the economy be.
    #[error(
        "the newest record of `{0}` is later than the clock of this machine; nothing was imported. If this \
         clock is right, run `bursar clock set` on the file that the lines come from, and export it again"
    )]
    Future(EconomyId),
    /// Whoever takes the lines takes no more.
    #[error("the lines could not be passed on: {0}")]
    Io(#[from] io::Error),
    /// The file could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// One line.
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
    /// Which version wrote the lines; each record says which version wrote it.
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
    /// In base64.
    bytes: String,
}

/// A record: everything that its hash covers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    seq: u64,
    /// Which opening of the file that it was written to.
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
    /// Over all lines before it, byte by byte.
    digest: Digest,
}

/// Covers lines.
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

    /// The record, without numbers and links of any file.
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

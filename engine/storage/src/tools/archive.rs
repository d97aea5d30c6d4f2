//! The export format: an economy's log as lines of JSON, which can be imported into another file.
//!
//! The first line names the economy. The components of its plugins follow, then its records with
//! everything that their hashes cover. The last line holds the number of lines and the head of the log,
//! so that missing, altered and reordered lines are detected. Numbers that belong to a file (of records,
//! of movements, links) are left out.

mod earlier;
mod export;
mod import;
mod lines;

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bursar_ledger::{
    AccountId, AccountNumber, Amount, AssetId, AssetNumber, Books, Digest, EconomyId, Movement,
    NumberedMovement, Posting, Sha256Writer, Timestamp,
};
use serde::{Deserialize, Serialize};

pub(crate) use export::export;
#[cfg(test)]
pub(crate) use import::EPOCH_MAX;
pub(crate) use import::import;
pub use import::{ImportContext, ImportReport};

use crate::error::StorageError;
use crate::record::{ChainLink, EconomyNumber, Outcome, Record, Salt};

/// The version of the export format.
const FORMAT: u32 = 2;

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
enum ArchiveLine {
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
    /// The random bytes that are hashed with the texts, as hexadecimal digits. Format 1 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
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
    /// The numbers of both accounts and of the asset in the economy, which the hash covers. Format 1 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    numbers: Option<(AccountNumber, AccountNumber, AssetNumber)>,
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
    /// Converts a record to a line. `books` have the names of its accounts.
    fn of(record: Record, link: &ChainLink, books: &Books) -> Result<Self, StorageError> {
        let answer = String::from_utf8(record.answer.to_vec())
            .map_err(|error| StorageError::damaged(record.id, error))?;
        let named = record.named_movements(books)?;
        let movements = named.into_iter().zip(&record.movements);
        Ok(Self {
            seq: record.seq,
            epoch: record.epoch,
            version: record.version.into(),
            recorded_at: record.recorded_at,
            kind: record.kind.into(),
            actor: record.actor,
            idempotency_key: record.key,
            request: record.request,
            act: record.act,
            outcome: record.outcome.as_str().into(),
            changes: record.changes,
            movements: movements
                .map(|(movement, numbered)| MovementLine::of(movement, numbered))
                .collect(),
            status: record.status,
            answer,
            salt: Some(hex::encode(record.salt.0)),
            previous: link.previous,
            hash: link.hash,
        })
    }

    /// Converts the line to a record, without the numbers of a file, and its movements by name.
    fn into_record(self, economy: EconomyId) -> Result<(Record, ChainLink, Vec<Movement>), String> {
        let mut salt = [0; 16];
        let digits = self.salt.as_deref().ok_or("it has no salt")?;
        hex::decode_to_slice(digits, &mut salt).map_err(|error| format!("its salt: {error}"))?;
        let numbered = self.movements.iter().map(MovementLine::numbered);
        let numbered: Option<Vec<NumberedMovement>> = numbered.collect();
        let numbered = numbered.ok_or("a movement has no numbers")?;
        let previous = self.previous;
        let hash = self.hash;
        let (record, named) = self.into_plain_record(economy, Salt(salt))?;
        let record = Record {
            movements: numbered,
            ..record
        };
        let link = record.link(previous);
        if link.hash != hash {
            return Err("its hash is not that of its content".into());
        }
        Ok((record, link, named))
    }

    /// Converts the line to a record without the numbers of a file and without movements, which are returned by name.
    fn into_plain_record(
        self,
        economy: EconomyId,
        salt: Salt,
    ) -> Result<(Record, Vec<Movement>), String> {
        let outcome = Outcome::parse(&self.outcome).ok_or("an unknown outcome")?;
        let record = Record {
            id: 0,
            economy,
            number: EconomyNumber(0),
            seq: self.seq,
            epoch: self.epoch,
            version: self.version.into(),
            recorded_at: self.recorded_at,
            kind: self.kind.into(),
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
        let named = self.movements.into_iter().map(MovementLine::named);
        Ok((record, named.collect()))
    }
}

impl MovementLine {
    fn of(movement: Movement, numbered: &NumberedMovement) -> Self {
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
            numbers: Some((numbered.source, numbered.destination, numbered.asset)),
        }
    }

    fn numbered(&self) -> Option<NumberedMovement> {
        let (source, destination, asset) = self.numbers?;
        Some(NumberedMovement {
            part: self.part,
            source,
            destination,
            asset,
            amount: self.amount,
            source_after: self.from_after,
            destination_after: self.to_after,
        })
    }

    fn named(self) -> Movement {
        Movement {
            part: self.part,
            posting: Posting {
                source: self.from,
                destination: self.to,
                asset: self.asset,
                amount: self.amount,
            },
            source_after: self.from_after,
            destination_after: self.to_after,
        }
    }
}

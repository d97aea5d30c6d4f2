//! Entries of the index: the entries of one record, and the three shapes in which runs store them.
//!
//! An entry is encoded as its difference from the entry before it, so that neighbours in a run cost few bytes.

use std::fmt::Debug;
use std::sync::Arc;

use super::varint::{put, put_difference, take, take_difference};

/// All entries that one record of the log adds to the index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct RecordEntries {
    /// The number of the record in the file, from 1 and without gaps.
    pub(crate) record: u64,
    /// The economy of the record.
    pub(crate) economy: u32,
    /// The number of the record in its economy.
    pub(crate) seq: u64,
    /// The idempotency key of the request.
    pub(crate) key: Option<Arc<str>>,
    /// The ids of transfers, holds and calls under which the record is found.
    pub(crate) ids: Vec<[u8; 16]>,
    /// The movements of the record.
    pub(crate) movements: Vec<MovementSides>,
}

/// A movement of one record, with the balances of both accounts after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MovementSides {
    /// The number of the movement in the file. It increases with the number of the record.
    pub(crate) movement: u64,
    /// The asset.
    pub(crate) asset: u32,
    /// Both accounts, each with its balance after the movement.
    pub(crate) sides: [(u32, i64); 2],
}

/// A movement of one account and one asset, as a look-up returns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MovementEntry {
    /// The number of the movement in the file.
    pub(crate) movement: u64,
    /// The number of its record in the file.
    pub(crate) record: u64,
    /// The balance of the account after the movement.
    pub(crate) after: i64,
}

/// An entry of a sorted run. The order of entries is the order of their fields.
pub(crate) trait IndexEntry: Copy + Ord + Default + Debug + Send + Sync + 'static {
    /// Appends the entry, given the entry before it in the page.
    fn encode(&self, previous: &Self, out: &mut Vec<u8>);
    /// Takes an entry from the input, given the entry before it, or returns `None` if the input is malformed.
    fn decode(previous: &Self, input: &mut &[u8]) -> Option<Self>;
    /// Returns the number of the record.
    fn record(&self) -> u64;
    /// Returns the number by which a look-up skips whole runs.
    fn position(&self) -> u64;
    /// Returns the value that filters are built from, if runs of this entry have filters.
    fn filtered(&self) -> Option<u64>;
}

/// The fingerprint of a key or of an id, and a record that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct FingerprintEntry {
    /// The keyed hash of the economy and the key or the id.
    pub(crate) fingerprint: u64,
    /// The number of the record in the file.
    pub(crate) record: u64,
}

impl IndexEntry for FingerprintEntry {
    fn encode(&self, previous: &Self, out: &mut Vec<u8>) {
        put(out, self.fingerprint.wrapping_sub(previous.fingerprint));
        put_difference(out, self.record, previous.record);
    }

    fn decode(previous: &Self, input: &mut &[u8]) -> Option<Self> {
        let fingerprint = previous.fingerprint.wrapping_add(take(input)?);
        let record = take_difference(input, previous.record)?;
        Some(Self {
            fingerprint,
            record,
        })
    }

    fn record(&self) -> u64 {
        self.record
    }

    fn position(&self) -> u64 {
        self.record
    }

    fn filtered(&self) -> Option<u64> {
        Some(self.fingerprint)
    }
}

/// The number of a record in its economy and in the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct SequenceEntry {
    /// The economy.
    pub(crate) economy: u32,
    /// The number in the economy.
    pub(crate) seq: u64,
    /// The number in the file.
    pub(crate) record: u64,
}

/// The first number of an entry that is not a plain step from the entry before it. A step is 1 at least.
const FULL: u64 = 0;

impl IndexEntry for SequenceEntry {
    fn encode(&self, previous: &Self, out: &mut Vec<u8>) {
        if self.economy == previous.economy && self.seq > previous.seq {
            put(out, self.seq - previous.seq);
        } else {
            put(out, FULL);
            put_difference(out, self.economy.into(), previous.economy.into());
            put_difference(out, self.seq, previous.seq);
        }
        // Both numbers of a record grow at much the same pace, so their distance changes little.
        put_difference(
            out,
            self.record.wrapping_sub(self.seq),
            previous.record.wrapping_sub(previous.seq),
        );
    }

    fn decode(previous: &Self, input: &mut &[u8]) -> Option<Self> {
        let step = take(input)?;
        let mut entry = *previous;
        if step == FULL {
            let economy = take_difference(input, previous.economy.into())?;
            entry.economy = u32::try_from(economy).ok()?;
            entry.seq = take_difference(input, previous.seq)?;
        } else {
            entry.seq = previous.seq.checked_add(step)?;
        }
        let distance = take_difference(input, previous.record.wrapping_sub(previous.seq))?;
        entry.record = entry.seq.wrapping_add(distance);
        Some(entry)
    }

    fn record(&self) -> u64 {
        self.record
    }

    fn position(&self) -> u64 {
        self.record
    }

    fn filtered(&self) -> Option<u64> {
        None
    }
}

/// One side of a movement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct SideEntry {
    /// The account and the asset.
    pub(crate) group: SideGroup,
    /// The number of the movement in the file.
    pub(crate) movement: u64,
    /// The number of its record in the file.
    pub(crate) record: u64,
    /// The balance of the account after the movement.
    pub(crate) after: i64,
}

/// An account with one asset: the sides of a group are next to each other in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct SideGroup {
    /// The economy.
    pub(crate) economy: u32,
    /// The account.
    pub(crate) account: u32,
    /// The asset.
    pub(crate) asset: u32,
}

impl IndexEntry for SideEntry {
    fn encode(&self, previous: &Self, out: &mut Vec<u8>) {
        if self.group == previous.group && self.movement > previous.movement {
            put(out, self.movement - previous.movement);
        } else {
            let before = previous.group;
            put(out, FULL);
            put_difference(out, self.group.economy.into(), before.economy.into());
            put_difference(out, self.group.account.into(), before.account.into());
            put_difference(out, self.group.asset.into(), before.asset.into());
            put_difference(out, self.movement, previous.movement);
        }
        put_difference(
            out,
            self.record.wrapping_sub(self.movement),
            previous.record.wrapping_sub(previous.movement),
        );
        put_difference(
            out,
            self.after.cast_unsigned(),
            previous.after.cast_unsigned(),
        );
    }

    fn decode(previous: &Self, input: &mut &[u8]) -> Option<Self> {
        let step = take(input)?;
        let mut entry = *previous;
        if step == FULL {
            let part = |input: &mut &[u8], before: u32| {
                u32::try_from(take_difference(input, before.into())?).ok()
            };
            entry.group = SideGroup {
                economy: part(input, previous.group.economy)?,
                account: part(input, previous.group.account)?,
                asset: part(input, previous.group.asset)?,
            };
            entry.movement = take_difference(input, previous.movement)?;
        } else {
            entry.movement = previous.movement.checked_add(step)?;
        }
        let distance = take_difference(input, previous.record.wrapping_sub(previous.movement))?;
        entry.record = entry.movement.wrapping_add(distance);
        entry.after = take_difference(input, previous.after.cast_unsigned())?.cast_signed();
        Some(entry)
    }

    fn record(&self) -> u64 {
        self.record
    }

    fn position(&self) -> u64 {
        self.movement
    }

    fn filtered(&self) -> Option<u64> {
        None
    }
}

impl SideEntry {
    /// Returns the movement without its account.
    pub(super) fn movement_entry(&self) -> MovementEntry {
        MovementEntry {
            movement: self.movement,
            record: self.record,
            after: self.after,
        }
    }
}

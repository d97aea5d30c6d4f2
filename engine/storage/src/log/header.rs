//! The header of a frame: the numbers from which those of its records are counted.

use bursar_ledger::{Digest, EconomyId, Timestamp};

use crate::record::EconomyNumber;

/// The header of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) first_record: u64,
    pub(crate) first_movement: u64,
    /// The time to which the times of the records are relative.
    pub(crate) base: Timestamp,
    pub(crate) economies: Vec<FrameEconomy>,
}

/// An economy with records in a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FrameEconomy {
    pub(crate) economy: EconomyId,
    pub(crate) number: EconomyNumber,
    /// The number in the economy of its first record in the frame.
    pub(crate) seq: u64,
    /// The hash of the economy's record before that one.
    pub(crate) previous: Digest,
}

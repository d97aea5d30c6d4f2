//! The comparison of the index with the log.
//!
//! Both have to give the same entries. Each entry is hashed with random keys, and the hashes are added up: the sums of two
//! different sets of entries agree by chance once in 2^128, and the order in which entries are read does not matter.

use std::hash::{BuildHasher, Hash, RandomState};

use super::report::P;
use super::watch::Watch;
use crate::error::StorageError;
use crate::index::entry::{IndexEntry, RecordEntries};
use crate::index::error::IndexError;
use crate::index::{Index, MergedEntries};

/// The number of entries of the index between two looks at the pace, and at whether the audit was cancelled.
const ENTRIES_AT_ONCE: u64 = 1_000;

/// The sums of the entries of each kind.
pub(super) struct EntrySums {
    hashers: [RandomState; 2],
    keys: Sum,
    ids: Sum,
    sequence: Sum,
    sides: Sum,
}

/// The number of some entries, and the sums of their hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sum {
    count: u64,
    hashes: [u64; 2],
}

impl Sum {
    fn add(&mut self, hashers: &[RandomState; 2], entry: impl Hash) {
        self.count += 1;
        for (sum, hasher) in self.hashes.iter_mut().zip(hashers) {
            *sum = sum.wrapping_add(hasher.hash_one(&entry));
        }
    }
}

impl EntrySums {
    pub(super) fn new() -> Self {
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            keys: Sum::default(),
            ids: Sum::default(),
            sequence: Sum::default(),
            sides: Sum::default(),
        }
    }

    /// Adds the entries that a record gives.
    pub(super) fn add(&mut self, index: &Index, entries: &RecordEntries) {
        let hashers = &self.hashers;
        let RecordEntries {
            record,
            economy,
            seq,
            key,
            ids,
            movements,
        } = entries;
        if let Some(key) = key {
            let fingerprint = index.fingerprint_of_key(*economy, key);
            self.keys.add(hashers, (fingerprint, *record));
        }
        for id in ids {
            let fingerprint = index.fingerprint_of_id(*economy, id);
            self.ids.add(hashers, (fingerprint, *record));
        }
        self.sequence.add(hashers, (*economy, *seq, *record));
        for movement in movements {
            for (account, after) in movement.sides {
                let group = (*economy, account, movement.asset);
                let side = (group, movement.movement, *record, after);
                self.sides.add(hashers, side);
            }
        }
    }
}

impl EntrySums {
    /// Compares all entries of the index up to the last record with these. Returns the findings.
    pub(super) fn compare(
        &self,
        index: &Index,
        last: u64,
        watch: &Watch<'_>,
    ) -> Result<Vec<(P, String)>, StorageError> {
        let hashers = &self.hashers;
        let keys = sum(index.each_key(last), last, watch, |sum, entry| {
            sum.add(hashers, (entry.fingerprint, entry.record));
        });
        let ids = sum(index.each_id(last), last, watch, |sum, entry| {
            sum.add(hashers, (entry.fingerprint, entry.record));
        });
        let sequence = sum(index.each_record(last), last, watch, |sum, entry| {
            sum.add(hashers, (entry.economy, entry.seq, entry.record));
        });
        let sides = sum(index.each_side(last), last, watch, |sum, entry| {
            let group = (entry.group.economy, entry.group.account, entry.group.asset);
            let side = (group, entry.movement, entry.record, entry.after);
            sum.add(hashers, side);
        });
        let compared = [
            (P::ExactlyOnce, "keys", keys, self.keys),
            (P::Explainable, "ids", ids, self.ids),
            (P::Explainable, "numbers", sequence, self.sequence),
            (P::Explainable, "movements", sides, self.sides),
        ];
        let mut findings = Vec::new();
        for (promise, what, found, expected) in compared {
            match found {
                Ok(found) if found == expected => {}
                Ok(found) if found.count == expected.count => {
                    let what = format!("the {what} in the index are not those of the log");
                    findings.push((promise, what));
                }
                Ok(found) => {
                    let counts = format!("{} and the log {}", found.count, expected.count);
                    findings.push((promise, format!("the index has {counts} {what}")));
                }
                Err(ReadError::Cancelled(error)) => return Err(error),
                Err(ReadError::Index(error)) => findings.push((P::Durable, error.to_string())),
            }
        }
        Ok(findings)
    }
}

/// The reason why a part of the index was not read to its end.
enum ReadError {
    Cancelled(StorageError),
    Index(IndexError),
}

/// Adds up the entries of records up to the last one that was audited.
fn sum<E: IndexEntry>(
    entries: MergedEntries<E>,
    last: u64,
    watch: &Watch<'_>,
    add: impl Fn(&mut Sum, &E),
) -> Result<Sum, ReadError> {
    let mut sum = Sum::default();
    for (entry, number) in entries.zip(0_u64..) {
        let entry = entry.map_err(ReadError::Index)?;
        if number % ENTRIES_AT_ONCE == 0 {
            watch.pace.step();
            watch.cancel.check().map_err(ReadError::Cancelled)?;
        }
        if entry.record() <= last {
            add(&mut sum, &entry);
        }
    }
    Ok(sum)
}

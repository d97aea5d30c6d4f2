//! The naive model of an index, random histories, and the comparison with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::memory_folder::Numbers;
use crate::index::entry::{FingerprintEntry, MovementEntry, MovementSides, RecordEntries};
use crate::index::error::IndexError;
use crate::index::identity::LogIdentity;
use crate::index::record_index::Index;
use crate::index::scan::MergedEntries;

/// The economies, accounts and assets of histories: few, so that they meet often.
const ECONOMIES: u64 = 3;
const ACCOUNTS: u64 = 5;
const ASSETS: u64 = 2;

/// A log that has an identity and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestLog {
    pub(super) file_id: [u8; 16],
    pub(super) records: u64,
    /// The last record that this log shares with the others, and a number that all its later records depend on.
    pub(super) fork: (u64, u8),
}

impl TestLog {
    pub(super) fn of(records: u64) -> Self {
        Self {
            file_id: [1; 16],
            records,
            fork: (u64::MAX, 0),
        }
    }

    pub(super) fn head(&self, record: u64) -> [u8; 32] {
        let (last_common, way) = self.fork;
        let way = if record > last_common { way } else { 0 };
        let mut digest = Sha256::new();
        digest.update(record.to_le_bytes());
        digest.update([way]);
        digest.finalize().into()
    }
}

impl LogIdentity for TestLog {
    type Error = Infallible;

    fn file_id(&self) -> [u8; 16] {
        self.file_id
    }

    fn head_at(&self, record: u64) -> Result<Option<[u8; 32]>, Infallible> {
        Ok((record <= self.records).then(|| self.head(record)))
    }

    fn records(&self) -> u64 {
        self.records
    }
}

/// All records of a history.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) records: Vec<RecordEntries>,
    pub(super) log: TestLog,
}

impl Model {
    /// Returns a random history.
    pub(super) fn random(records: u64, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut seqs = BTreeMap::<u32, u64>::new();
        let mut movement = 0;
        let records_of = |record| {
            let economy = u32::try_from(numbers.below(ECONOMIES)).expect("a small number") + 1;
            let seq = seqs.entry(economy).or_default();
            *seq += 1;
            let key = match numbers.below(8) {
                0 => None,
                // A key of two economies, or of two records.
                1 => Some(format!("key {}", numbers.below(20))),
                _ => Some(format!("key of record {record}")),
            };
            let ids = (0..numbers.below(3)).map(|_| {
                let mut id = [0; 16];
                id[0] = u8::try_from(numbers.below(200)).expect("a small number");
                id
            });
            let ids = ids.collect();
            let count = if numbers.below(40) == 0 {
                30
            } else {
                numbers.below(3)
            };
            let movements = (0..count).map(|_| {
                movement += 1 + numbers.below(2);
                let from = numbers.below(ACCOUNTS);
                let to = (from + 1 + numbers.below(ACCOUNTS - 1)) % ACCOUNTS;
                let side = |account: u64, after: u64| {
                    (
                        u32::try_from(account).expect("a small number"),
                        after.cast_signed(),
                    )
                };
                MovementSides {
                    movement,
                    asset: u32::try_from(numbers.below(ASSETS)).expect("a small number"),
                    sides: [side(from, numbers.next()), side(to, numbers.below(1_000))],
                }
            });
            RecordEntries {
                record,
                economy,
                seq: *seq,
                key: key.map(Arc::from),
                movements: movements.collect(),
                ids,
            }
        };
        Self {
            records: (1..=records).map(records_of).collect(),
            log: TestLog::of(records),
        }
    }

    /// Returns the history up to a record.
    pub(super) fn upto(&self, records: u64) -> Self {
        Self {
            records: self.records[..usize::try_from(records).expect("a small number")].to_vec(),
            log: TestLog {
                records,
                ..self.log
            },
        }
    }

    fn keys(&self) -> BTreeMap<(u32, &str), BTreeSet<u64>> {
        let mut keys = BTreeMap::<_, BTreeSet<u64>>::new();
        for record in &self.records {
            if let Some(key) = record.key.as_deref() {
                keys.entry((record.economy, key))
                    .or_default()
                    .insert(record.record);
            }
        }
        keys
    }

    fn ids(&self) -> BTreeMap<(u32, [u8; 16]), BTreeSet<u64>> {
        let mut ids = BTreeMap::<_, BTreeSet<u64>>::new();
        for record in &self.records {
            for id in &record.ids {
                ids.entry((record.economy, *id))
                    .or_default()
                    .insert(record.record);
            }
        }
        ids
    }

    /// Returns the movements of each economy, account and asset.
    fn movements(&self) -> BTreeMap<(u32, u32, u32), Vec<MovementEntry>> {
        let mut movements = BTreeMap::<_, Vec<_>>::new();
        for record in &self.records {
            for movement in &record.movements {
                for (account, after) in movement.sides {
                    let group = (record.economy, account, movement.asset);
                    movements.entry(group).or_default().push(MovementEntry {
                        movement: movement.movement,
                        record: record.record,
                        after,
                    });
                }
            }
        }
        movements
    }

    /// Compares all look-ups of an index with this history. An error of the index is returned, a difference panics.
    pub(super) fn compare(&self, index: &Index) -> Result<(), IndexError> {
        assert_eq!(index.indexed(), self.records.len() as u64);
        self.compare_keys(index)?;
        self.compare_ids(index)?;
        self.compare_sequence(index)?;
        self.compare_movements(index)
    }

    fn compare_keys(&self, index: &Index) -> Result<(), IndexError> {
        let keys = self.keys();
        let mut entries = BTreeSet::new();
        for ((economy, key), records) in &keys {
            let found = index.records_of_key(*economy, key)?;
            assert!(
                found.iter().eq(records),
                "{economy} {key}: {found:?} {records:?}"
            );
            let fingerprint = index.fingerprint_of_key(*economy, key);
            entries.extend(records.iter().map(|record| (fingerprint, *record)));
            let other = index.records_of_key(*economy + 100, key)?;
            assert!(other.is_empty(), "{economy} {key}: {other:?}");
        }
        for absent in 0..50 {
            let found = index.records_of_key(1, &format!("absent {absent}"))?;
            assert!(found.is_empty(), "{absent}: {found:?}");
        }
        compare_fingerprints(index.each_key(u64::MAX), entries)
    }

    fn compare_ids(&self, index: &Index) -> Result<(), IndexError> {
        let mut entries = BTreeSet::new();
        for ((economy, id), records) in &self.ids() {
            let found = index.records_of_id(*economy, id)?;
            assert!(
                found.iter().eq(records),
                "{economy} {id:?}: {found:?} {records:?}"
            );
            let fingerprint = index.fingerprint_of_id(*economy, id);
            entries.extend(records.iter().map(|record| (fingerprint, *record)));
        }
        assert!(index.records_of_id(1, &[255; 16])?.is_empty());
        compare_fingerprints(index.each_id(u64::MAX), entries)
    }

    fn compare_sequence(&self, index: &Index) -> Result<(), IndexError> {
        let mut all = Vec::new();
        for economy in 0..=u32::try_from(ECONOMIES).expect("a small number") + 1 {
            let of_economy = self
                .records
                .iter()
                .filter(|record| record.economy == economy);
            let expected: Vec<_> = of_economy
                .map(|record| (record.seq, record.record))
                .collect();
            for limit in [0, 1, 7, usize::MAX] {
                let step = 5 + expected.len() / 20;
                let seqs = (0..=expected.len() as u64 + 1)
                    .step_by(step)
                    .chain([u64::MAX]);
                for seq in seqs {
                    let found = index.records_after(economy, seq, limit)?;
                    let after = expected
                        .iter()
                        .filter(|(number, _)| *number > seq)
                        .take(limit);
                    assert!(found.iter().eq(after), "{economy} {seq} {limit}: {found:?}");
                }
            }
            all.extend(
                expected
                    .into_iter()
                    .map(|(seq, record)| (economy, seq, record)),
            );
        }
        let found: Result<Vec<_>, _> = index.each_record(u64::MAX).collect();
        let found = found?;
        assert!(
            found
                .iter()
                .map(|entry| (entry.economy, entry.seq, entry.record))
                .eq(all)
        );
        Ok(())
    }

    fn compare_movements(&self, index: &Index) -> Result<(), IndexError> {
        let mut all = Vec::new();
        for ((economy, account, asset), expected) in self.movements() {
            for limit in [0, 1, 5, usize::MAX] {
                let ends = expected.iter().map(|entry| entry.movement);
                let ends = ends.step_by(7 + expected.len() / 20);
                for below in ends.chain([0, 1, u64::MAX]) {
                    let found = index.movements_before(economy, account, asset, below, limit)?;
                    let before = expected.iter().rev().filter(|entry| entry.movement < below);
                    assert!(
                        found.iter().eq(before.take(limit)),
                        "{economy} {account} {asset} {below} {limit}: {found:?}"
                    );
                }
            }
            let side = |entry: MovementEntry| ((economy, account, asset), entry);
            all.extend(expected.into_iter().map(side));
        }
        assert_eq!(index.movements_before(9, 9, 9, u64::MAX, 10)?, []);
        let found: Result<Vec<_>, _> = index.each_side(u64::MAX).collect();
        let found = found?.into_iter().map(|entry| {
            let group = entry.group;
            (
                (group.economy, group.account, group.asset),
                entry.movement_entry(),
            )
        });
        assert!(found.eq(all));
        Ok(())
    }
}

/// Compares all fingerprints of an index with the expected ones.
fn compare_fingerprints(
    found: MergedEntries<FingerprintEntry>,
    expected: BTreeSet<(u64, u64)>,
) -> Result<(), IndexError> {
    let found: Result<Vec<_>, _> = found.collect();
    let found = found?;
    let found = found.iter().map(|entry| (entry.fingerprint, entry.record));
    assert!(found.eq(expected));
    Ok(())
}

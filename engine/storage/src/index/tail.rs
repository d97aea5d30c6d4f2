//! The tail: the entries of the newest records, in memory until they are written to runs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::entry::{
    FingerprintEntry, MovementEntry, RecordEntries, SequenceEntry, SideEntry, SideGroup,
};
use super::identity::IndexIdentity;

/// The fingerprints of the entries of one record.
pub(super) struct RecordFingerprints {
    key: Option<u64>,
    ids: Vec<u64>,
}

impl RecordFingerprints {
    pub(super) fn of(identity: &IndexIdentity, entries: &RecordEntries) -> Self {
        let economy = entries.economy;
        let key = entries.key.as_deref();
        Self {
            key: key.map(|key| identity.of_key(economy, key)),
            ids: entries
                .ids
                .iter()
                .map(|id| identity.of_id(economy, id))
                .collect(),
        }
    }
}

/// The entries of consecutive records.
pub(super) struct IndexTail {
    /// The first record.
    pub(super) first: u64,
    /// The last record, or the one before the first if there is none yet.
    pub(super) last: u64,
    /// The hash of the log up to the last record.
    pub(super) head: [u8; 32],
    keys: FingerprintMap,
    ids: FingerprintMap,
    sequence: HashMap<u32, Vec<(u64, u64)>>,
    sides: HashMap<SideGroup, Vec<MovementEntry>>,
    side_count: usize,
}

impl IndexTail {
    /// Creates an empty tail that follows a record.
    pub(super) fn after(record: u64, head: [u8; 32]) -> Self {
        Self::with_capacity(record, head, [0; 3])
    }

    /// Creates an empty tail that follows this one, with space for as much, so that no map grows while readers wait.
    pub(super) fn next(&self) -> Self {
        let capacity = [
            self.keys.entries.len(),
            self.ids.entries.len(),
            self.sides.len(),
        ];
        Self::with_capacity(self.last, self.head, capacity)
    }

    fn with_capacity(record: u64, head: [u8; 32], [keys, ids, groups]: [usize; 3]) -> Self {
        Self {
            first: record.saturating_add(1),
            last: record,
            head,
            keys: FingerprintMap::with_capacity(keys),
            ids: FingerprintMap::with_capacity(ids),
            sequence: HashMap::new(),
            sides: HashMap::with_capacity(groups),
            side_count: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last < self.first
    }

    /// Returns the number of records.
    pub(super) fn records(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Returns the number of sides of movements.
    pub(super) fn side_count(&self) -> usize {
        self.side_count
    }

    /// Adds the next record.
    pub(super) fn add(&mut self, entries: &RecordEntries, fingerprints: &RecordFingerprints) {
        let record = entries.record;
        if let Some(key) = fingerprints.key {
            self.keys.insert(key, record);
        }
        for id in &fingerprints.ids {
            self.ids.insert(*id, record);
        }
        let sequence = self.sequence.entry(entries.economy).or_default();
        sequence.push((entries.seq, record));
        for movement in &entries.movements {
            for (account, after) in movement.sides {
                let group = SideGroup {
                    economy: entries.economy,
                    account,
                    asset: movement.asset,
                };
                self.sides.entry(group).or_default().push(MovementEntry {
                    movement: movement.movement,
                    record,
                    after,
                });
                self.side_count += 1;
            }
        }
        self.last = record;
    }

    /// Appends the records that have the fingerprint of a key.
    pub(super) fn find_key(&self, fingerprint: u64, found: &mut Vec<u64>) {
        self.keys.find(fingerprint, found);
    }

    /// Appends the records that have the fingerprint of an id.
    pub(super) fn find_id(&self, fingerprint: u64, found: &mut Vec<u64>) {
        self.ids.find(fingerprint, found);
    }

    /// Appends records of an economy after a number, in order, until `found` has `limit` of them.
    pub(super) fn records_after(
        &self,
        economy: u32,
        seq: u64,
        limit: usize,
        found: &mut Vec<(u64, u64)>,
    ) {
        let sequence = self.sequence.get(&economy).map_or(&[][..], Vec::as_slice);
        let start = sequence.partition_point(|(number, _)| *number <= seq);
        let missing = limit.saturating_sub(found.len());
        found.extend(sequence.iter().skip(start).take(missing));
    }

    /// Appends movements of a group below a number, newest first, until `found` has `limit` of them.
    pub(super) fn movements_before(
        &self,
        group: SideGroup,
        below: u64,
        limit: usize,
        found: &mut Vec<MovementEntry>,
    ) {
        let sides = self.sides.get(&group).map_or(&[][..], Vec::as_slice);
        let end = sides.partition_point(|side| side.movement < below);
        let missing = limit.saturating_sub(found.len());
        found.extend(sides.iter().take(end).rev().take(missing));
    }

    /// Returns the entries of the keys, in the order of a run.
    pub(super) fn sorted_keys(&self) -> Vec<FingerprintEntry> {
        self.keys.sorted()
    }

    /// Returns the entries of the ids, in the order of a run.
    pub(super) fn sorted_ids(&self) -> Vec<FingerprintEntry> {
        self.ids.sorted()
    }

    /// Returns the records by economy and number, in the order of a run.
    pub(super) fn sorted_sequence(&self) -> Vec<SequenceEntry> {
        let all = self.sequence.iter().flat_map(|(economy, records)| {
            let entry = |(seq, record): &(u64, u64)| SequenceEntry {
                economy: *economy,
                seq: *seq,
                record: *record,
            };
            records.iter().map(entry)
        });
        let mut entries: Vec<_> = all.collect();
        entries.sort_unstable();
        entries
    }

    /// Returns the sides of movements, in the order of a run.
    pub(super) fn sorted_sides(&self) -> Vec<SideEntry> {
        let mut groups: Vec<_> = self.sides.iter().collect();
        groups.sort_unstable_by_key(|(group, _)| **group);
        let mut entries = Vec::with_capacity(self.side_count);
        for (group, sides) in groups {
            let start = entries.len();
            entries.extend(sides.iter().map(|side| SideEntry {
                group: *group,
                movement: side.movement,
                record: side.record,
                after: side.after,
            }));
            // Movements arrive in order; only both sides of one movement may be of the same account.
            if let Some(part) = entries.get_mut(start..)
                && !part.is_sorted()
            {
                part.sort_unstable();
            }
        }
        entries
    }
}

/// A hasher that returns a fingerprint as it is, since it is a keyed hash that clients cannot choose.
#[derive(Default)]
struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

/// The records of each fingerprint.
struct FingerprintMap {
    /// The place of the newest entry of each fingerprint.
    newest: HashMap<u64, usize, BuildHasherDefault<FingerprintHasher>>,
    /// All entries, each with the place of the previous entry of its fingerprint.
    entries: Vec<(FingerprintEntry, Option<usize>)>,
}

impl FingerprintMap {
    fn with_capacity(entries: usize) -> Self {
        Self {
            newest: HashMap::with_capacity_and_hasher(entries, BuildHasherDefault::default()),
            entries: Vec::with_capacity(entries),
        }
    }

    fn insert(&mut self, fingerprint: u64, record: u64) {
        let entry = FingerprintEntry {
            fingerprint,
            record,
        };
        let previous = self.newest.insert(fingerprint, self.entries.len());
        let newest = previous.and_then(|place| self.entries.get(place));
        // A record that names an id twice has one entry.
        if newest.is_some_and(|(newest, _)| *newest == entry) {
            self.newest
                .extend(previous.map(|place| (fingerprint, place)));
            return;
        }
        self.entries.push((entry, previous));
    }

    fn find(&self, fingerprint: u64, found: &mut Vec<u64>) {
        let mut next = self.newest.get(&fingerprint).copied();
        while let Some((entry, previous)) = next.and_then(|place| self.entries.get(place)) {
            found.push(entry.record);
            next = *previous;
        }
    }

    fn sorted(&self) -> Vec<FingerprintEntry> {
        let mut entries: Vec<_> = self.entries.iter().map(|(entry, _)| *entry).collect();
        entries.sort_unstable();
        entries
    }
}

//! The state of a file: the books of all its economies, with structural sharing.

use std::collections::BTreeSet;
use std::sync::Arc;

use bursar_ledger::{
    Books, Change, CheckpointEntry, Decision, Digest, EconomyId, HistoryLinks, HoldId, Seed,
    Timestamp,
};
use imbl::{OrdMap, OrdSet};

use crate::error::StorageError;
use crate::record::Record;

/// The state of a file after a record. The writer publishes it after each commit, and a checkpoint stores it.
/// Cloning is cheap.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    pub(crate) economies: OrdMap<EconomyId, Arc<Books>>,
    /// The newest record in the file.
    pub(crate) record: u64,
    /// The newest movement in the file.
    pub(crate) movement: u64,
    /// The time of the newest record.
    pub(crate) recorded_at: Timestamp,
    /// The time at which each economy's next hold expires, by economy and by time.
    pub(crate) next_due: OrdMap<EconomyId, Timestamp>,
    pub(crate) by_due: OrdSet<(Timestamp, EconomyId)>,
}

impl State {
    /// Returns the books of an economy.
    pub fn books(&self, economy: &EconomyId) -> Option<&Arc<Books>> {
        self.economies.get(economy)
    }

    /// Returns all economies in the order of their names.
    pub fn economies(&self) -> &OrdMap<EconomyId, Arc<Books>> {
        &self.economies
    }

    /// Returns the number of records in the file.
    pub fn records(&self) -> u64 {
        self.record
    }

    /// Returns the latest time of any economy's newest record.
    pub(crate) fn latest(&self) -> Timestamp {
        let newest = self.economies.values().map(|books| books.recorded_at());
        newest.max().unwrap_or_default()
    }

    /// Returns the books to change, and creates them if `changes` open the economy.
    pub(crate) fn books_mut(
        &mut self,
        economy: &EconomyId,
        changes: &[Change],
        at: Timestamp,
    ) -> Option<&mut Books> {
        if !self.economies.contains_key(economy) {
            let opened = |change: &Change| -> Option<Seed> {
                if let Change::EconomyOpened { seed } = change {
                    Some(*seed)
                } else {
                    None
                }
            };
            let seed = changes.iter().find_map(opened)?;
            self.economies
                .insert(economy.clone(), Arc::new(Books::new(seed, at)));
        }
        self.economies.get_mut(economy).map(Arc::make_mut)
    }

    /// Enters the number, the time and the hash of a record into its economy's books.
    pub(crate) fn seal(&mut self, economy: &EconomyId, seq: u64, at: Timestamp, hash: Digest) {
        if let Some(books) = self.economies.get_mut(economy) {
            Arc::make_mut(books).seal(seq, at, hash);
        }
        self.note_due(economy);
    }

    /// Returns the time at which the next hold of the file expires.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.get_min().map(|(due_at, _)| *due_at)
    }

    /// Returns the hold that expired first by `now`, except in economies to skip.
    pub(crate) fn first_due(
        &self,
        at: Timestamp,
        passed: &BTreeSet<EconomyId>,
    ) -> Option<(EconomyId, HoldId)> {
        let due = self.by_due.iter().take_while(|(due_at, _)| *due_at <= at);
        let (_, economy) = due
            .into_iter()
            .find(|(_, economy)| !passed.contains(economy))?;
        let (_, hold) = self.books(economy)?.first_due()?;
        Some((economy.clone(), hold))
    }

    /// Updates the time at which an economy's next hold expires.
    fn note_due(&mut self, economy: &EconomyId) {
        let next = self.books(economy).and_then(|books| books.next_due());
        if self.next_due.get(economy).copied() == next {
            return;
        }
        if let Some(before) = self.next_due.remove(economy) {
            self.by_due.remove(&(before, economy.clone()));
        }
        if let Some(next) = next {
            self.next_due.insert(economy.clone(), next);
            self.by_due.insert((next, economy.clone()));
        }
    }

    /// Applies a record of the journal and checks it: its numbers, its links, the balances after it and its hash.
    pub(crate) fn replay(&mut self, record: &Record) -> Result<(), StorageError> {
        let damaged = |what: &str| StorageError::damaged(record.id, what);
        let next = self.next_record();
        let first = self.next_movement();
        if record.id != next {
            return Err(StorageError::damaged(next, "it is missing"));
        }
        let links = self.follow(record)?;
        let entries = &record.entries;
        if !entries.iter().map(|entry| entry.link).eq(links) {
            return Err(damaged(
                "its movements are not linked to the ones before them",
            ));
        }
        if !entries
            .iter()
            .zip(first..)
            .all(|(entry, number)| entry.number == number)
        {
            return Err(damaged("its movements are not numbered without gaps"));
        }
        Ok(())
    }

    /// Applies a record of another file's journal with the checks of [`State::replay`], and assigns it the next
    /// numbers and links of this file.
    pub(crate) fn adopt(&mut self, record: &mut Record) -> Result<(), StorageError> {
        let next = self.next_record();
        let first = self.next_movement();
        record.id = next;
        let links = self.follow(record)?;
        for ((entry, link), number) in record.entries.iter_mut().zip(links).zip(first..) {
            entry.number = number;
            entry.link = link;
        }
        Ok(())
    }

    /// Applies a record after its economy's newest one. The state is partly changed after an error.
    fn follow(&mut self, record: &Record) -> Result<HistoryLinks, StorageError> {
        let damaged = |what: &str| StorageError::damaged(record.id, what);
        if record.compute_hash() != record.hash {
            return Err(damaged("its hash is not that of its content"));
        }
        let decision = record.decision()?;
        let first = self.next_movement();
        let books = self
            .books_mut(&record.economy, decision.changes(), record.recorded_at)
            .ok_or_else(|| damaged("its economy was never opened"))?;
        if record.seq != books.seq().wrapping_add(1) || record.previous != books.head() {
            return Err(damaged("it does not follow its economy's record before it"));
        }
        check_stamp(&decision, books.recorded_at(), record.recorded_at).map_err(damaged)?;
        let links = books
            .apply(&decision, record.seq, record.recorded_at, first)
            .map_err(|misfit| StorageError::damaged(record.id, misfit))?;
        self.seal(&record.economy, record.seq, record.recorded_at, record.hash);
        self.record = record.id;
        self.movement = self.movement.wrapping_add(links.len() as u64);
        self.recorded_at = record.recorded_at;
        Ok(links)
    }

    fn next_record(&self) -> u64 {
        self.record.wrapping_add(1)
    }

    fn next_movement(&self) -> u64 {
        self.movement.wrapping_add(1)
    }

    /// Restores an entry of a checkpoint.
    pub(crate) fn restore(&mut self, economy: &EconomyId, item: CheckpointEntry) -> bool {
        let mut books = self.economies.remove(economy).map(Arc::unwrap_or_clone);
        let is_hold = matches!(item, CheckpointEntry::Hold(..));
        let fits = Books::restore(&mut books, item);
        if let Some(books) = books {
            self.economies.insert(economy.clone(), Arc::new(books));
        }
        if is_hold {
            self.note_due(economy);
        }
        fits
    }

    /// Returns the entries of a checkpoint, which are created lazily.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = (EconomyId, CheckpointEntry)> + Send {
        self.economies.into_iter().flat_map(|(economy, books)| {
            let items = Arc::unwrap_or_clone(books).into_items();
            items.map(move |item| (economy.clone(), item))
        })
    }

    /// Returns the hash of an economy's newest record.
    pub fn head(&self, economy: &EconomyId) -> Option<Digest> {
        self.books(economy).map(|books| books.head())
    }
}

/// Checks the time of a record. It must not be before the economy's previous record, unless the record sets the
/// clock: then it must be the time that the record sets, and the time before must not be before any record. Times of
/// different economies are independent, because an imported economy may be older.
fn check_stamp(decision: &Decision, before: Timestamp, at: Timestamp) -> Result<(), &'static str> {
    let set = |change: &Change| {
        if let Change::ClockSet { from, to } = change {
            Some((*from, *to))
        } else {
            None
        }
    };
    match decision.changes().iter().find_map(set) {
        Some((from, to)) if from < before || to != at => Err("it sets a clock that was another"),
        None if at < before => Err("it is older than its economy's record before it"),
        Some(_) | None => Ok(()),
    }
}

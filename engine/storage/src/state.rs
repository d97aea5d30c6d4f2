//! The state of a file: the books of all its economies, with structural sharing.

use std::collections::BTreeSet;
use std::sync::Arc;

use bursar_ledger::{
    Books, Change, Digest, EconomyId, HoldId, Movement, NumberedMovement, Seed, Timestamp,
};
use imbl::{OrdMap, OrdSet};

use crate::error::StorageError;
use crate::log::frame::Frame;
use crate::log::reader::each_record;
use crate::record::{ChainLink, EconomyNumber, Record};

/// The state of a file after a record. The writer publishes it after each commit, and a checkpoint stores it.
/// Cloning is cheap.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    pub(crate) economies: OrdMap<EconomyId, Arc<Books>>,
    /// The number of each economy in the file.
    pub(crate) numbers: OrdMap<EconomyId, EconomyNumber>,
    /// The number of the newest record in the file.
    pub(crate) record: u64,
    /// The number of the newest movement in the file.
    pub(crate) movement: u64,
    /// The number of the newest commit in the file.
    pub(crate) batch: u64,
    /// The hash of the newest frame, which covers all frames before it.
    pub(crate) log_head: Digest,
    /// The time of the newest record.
    pub(crate) recorded_at: Timestamp,
    /// The time at which each economy's next hold expires, by economy and by time.
    pub(crate) next_due: OrdMap<EconomyId, Timestamp>,
    pub(crate) by_due: OrdSet<(Timestamp, EconomyId)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            economies: OrdMap::new(),
            numbers: OrdMap::new(),
            record: 0,
            movement: 0,
            batch: 0,
            log_head: Digest::ZERO,
            recorded_at: Timestamp::default(),
            next_due: OrdMap::new(),
            by_due: OrdSet::new(),
        }
    }
}

impl State {
    /// Returns the books of an economy.
    pub fn books(&self, economy: &EconomyId) -> Option<&Arc<Books>> {
        self.economies.get(economy)
    }

    /// Returns the books of a record's economy, in which the names of its accounts are found.
    pub(crate) fn books_of(&self, record: &Record) -> Result<&Books, StorageError> {
        let books = self.books(&record.economy).map(|books| &**books);
        books.ok_or_else(|| StorageError::damaged(record.id, "its economy is missing"))
    }

    /// Returns all economies in the order of their names.
    pub fn economies(&self) -> &OrdMap<EconomyId, Arc<Books>> {
        &self.economies
    }

    /// Returns the number of records in the file.
    pub fn records(&self) -> u64 {
        self.record
    }

    /// Returns the number of accounts in all economies.
    pub(crate) fn accounts(&self) -> u64 {
        let accounts = self.economies.values().map(|books| books.accounts().len());
        accounts.sum::<usize>() as u64
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
            self.admit(economy, Books::new(seed, at))?;
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

    /// Returns the first hold that expires at `at` or before, in an economy that is not in `passed`.
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

    /// Adds an economy with the next number. Returns none if there are no more numbers.
    fn admit(&mut self, economy: &EconomyId, books: Books) -> Option<()> {
        let number = EconomyNumber(u32::try_from(self.numbers.len()).ok()?);
        self.numbers.insert(economy.clone(), number);
        self.economies.insert(economy.clone(), Arc::new(books));
        Some(())
    }

    /// Returns the number of an economy in the file.
    pub(crate) fn number(&self, economy: &EconomyId) -> Option<EconomyNumber> {
        self.numbers.get(economy).copied()
    }

    /// Applies all records of the next frame of the log and checks them.
    pub(crate) fn replay_frame(&mut self, frame: &Frame) -> Result<(), StorageError> {
        let previous = self.log_head;
        each_record(frame, &previous, |record, link| {
            self.replay(&record, &link)?;
            Ok(true)
        })?;
        self.close_frame(frame)
    }

    /// Notes that all records of a frame are applied.
    pub(crate) fn close_frame(&mut self, frame: &Frame) -> Result<(), StorageError> {
        // A commit has several frames if it has many records.
        let next = self.batch.saturating_add(1);
        if frame.batch != self.batch && frame.batch != next {
            let what = "its commit does not follow the one before it";
            return Err(StorageError::damaged(frame.header.first_record, what));
        }
        self.batch = frame.batch;
        self.log_head = frame.head;
        Ok(())
    }

    /// Applies a record of the log and checks it: its numbers, its hash, the balances after it.
    pub(crate) fn replay(&mut self, record: &Record, link: &ChainLink) -> Result<(), StorageError> {
        let next = self.record.wrapping_add(1);
        if record.id != next {
            return Err(StorageError::damaged(next, "it is missing"));
        }
        if record.first_movement != self.movement.wrapping_add(1) {
            let what = "its movements are not numbered without gaps";
            return Err(StorageError::damaged(record.id, what));
        }
        self.follow(record, link)
    }

    /// Applies a record of another file with the checks of [`State::replay`], and assigns it the next numbers of this
    /// file.
    pub(crate) fn adopt(
        &mut self,
        record: &mut Record,
        link: &ChainLink,
    ) -> Result<(), StorageError> {
        record.id = self.record.wrapping_add(1);
        record.first_movement = self.movement.wrapping_add(1);
        if let Some(number) = self.number(&record.economy) {
            record.number = number;
        } else {
            let opened = u32::try_from(self.numbers.len());
            let opened = opened.map_err(|error| StorageError::damaged(record.id, error))?;
            record.number = EconomyNumber(opened);
        }
        self.follow(record, link)
    }

    /// Returns the movements of a record of another file, with the numbers that their accounts and assets have in this
    /// file after the record's changes.
    pub(crate) fn number_movements(
        &self,
        record: &Record,
        named: &[Movement],
    ) -> Result<Vec<NumberedMovement>, StorageError> {
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = |books: &Books| -> Option<Vec<NumberedMovement>> {
            named.iter().map(|it| books.number_movement(it)).collect()
        };
        let unknown = || StorageError::damaged(record.id, "a movement names no account");
        let books = self.books(&record.economy).ok_or_else(unknown)?;
        if let Some(numbered) = numbers(books) {
            return Ok(numbered);
        }
        // The record itself creates one of the accounts.
        let mut after = Books::clone(books);
        let replayed = after.replay(&record.changes()?, &[], record.seq, record.recorded_at);
        replayed.map_err(|misfit| StorageError::damaged(record.id, misfit))?;
        numbers(&after).ok_or_else(unknown)
    }

    /// Applies a record after its economy's newest one. The state is partly changed after an error.
    fn follow(&mut self, record: &Record, link: &ChainLink) -> Result<(), StorageError> {
        let damaged = |what: &str| StorageError::damaged(record.id, what);
        let changes = record.changes()?;
        let books = self
            .books_mut(&record.economy, &changes, record.recorded_at)
            .ok_or_else(|| damaged("its economy was never opened"))?;
        if record.seq != books.seq().wrapping_add(1) || link.previous != books.head() {
            return Err(damaged("it does not follow its economy's record before it"));
        }
        check_stamp(&changes, books.recorded_at(), record.recorded_at).map_err(damaged)?;
        books
            .replay(&changes, &record.movements, record.seq, record.recorded_at)
            .map_err(|misfit| StorageError::damaged(record.id, misfit))?;
        if self.number(&record.economy) != Some(record.number) {
            return Err(damaged("its economy has another number"));
        }
        self.seal(&record.economy, record.seq, record.recorded_at, link.hash);
        self.record = record.id;
        self.movement = record.next_movement().saturating_sub(1);
        self.recorded_at = record.recorded_at;
        Ok(())
    }

    /// Restores an economy of a checkpoint. Returns false if it is there already.
    pub(crate) fn restore(
        &mut self,
        economy: &EconomyId,
        number: EconomyNumber,
        books: Books,
    ) -> bool {
        let is_new = self.numbers.insert(economy.clone(), number).is_none();
        self.economies.insert(economy.clone(), Arc::new(books));
        self.note_due(economy);
        is_new
    }

    /// Returns the economies with their numbers and books.
    pub(crate) fn into_numbered(
        self,
    ) -> impl Iterator<Item = (EconomyId, EconomyNumber, Arc<Books>)> {
        let numbered = self.economies.into_iter().zip(self.numbers);
        numbered.map(|((economy, books), (_, number))| (economy, number, books))
    }

    /// Returns the hash of an economy's newest record.
    pub fn head(&self, economy: &EconomyId) -> Option<Digest> {
        self.books(economy).map(|books| books.head())
    }
}

/// Checks the time of a record. It must not be before the economy's previous record, unless the record sets the
/// clock: then it must be the time that the record sets, and the replaced time must not be before the previous
/// record. Times of different economies are independent, because an imported economy may be older.
fn check_stamp(changes: &[Change], before: Timestamp, at: Timestamp) -> Result<(), &'static str> {
    let set = |change: &Change| {
        if let Change::ClockSet { from, to } = change {
            Some((*from, *to))
        } else {
            None
        }
    };
    match changes.iter().find_map(set) {
        Some((from, to)) if from < before || to != at => Err("it sets a clock that was another"),
        None if at < before => Err("it is older than its economy's record before it"),
        Some(_) | None => Ok(()),
    }
}

//! Movements in the order of accounts: what makes any moment of an account's past quick to reach.
//!
//! Nothing in this order is written while money moves. Beside the chain of an account's movements
//! there is a table, filled in portions when the writer has nothing else to do, or when too much has
//! gathered; what is not in it yet is the newest part of the chain, and is walked.

use std::collections::BTreeMap;

use bursar_ledger::{AccountId, AssetId, EconomyId, Movement, StepBack, Timestamp};
use libsql::Value as Cell;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::record::Entry;
use crate::rows;

type Result<T> = std::result::Result<T, StorageError>;

/// What each side of a movement has after it.
struct Row {
    economy: String,
    account: String,
    asset: String,
    movement: u64,
    after: i64,
}

impl Row {
    fn place(&self) -> (&str, &str, &str, u64) {
        (&self.economy, &self.account, &self.asset, self.movement)
    }
}

/// Fills the table.
pub(crate) struct AccountHistoryIndex {
    read: Statement,
    insert: Statement,
    note: Statement,
    ordered: u64,
}

impl AccountHistoryIndex {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            read: database.prepare(
                "SELECT movements.id, CAST(economy AS BLOB), CAST(source AS BLOB),
                        CAST(destination AS BLOB), CAST(asset AS BLOB), source_after,
                        destination_after
                 FROM movements JOIN records ON records.id = movements.record
                 WHERE movements.id > ?1 ORDER BY movements.id LIMIT ?2",
            )?,
            insert: database.prepare(
                "INSERT INTO account_movements (economy, account, asset, movement, after)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            note: database.prepare("UPDATE account_movements_upto SET movement = ?1")?,
            ordered: upto(database)?,
        })
    }

    /// The newest movement that is in the table, as all before it are.
    pub(crate) fn ordered(&self) -> u64 {
        self.ordered
    }

    /// Adds the next movements, in a txn of the caller's; says up to which all are in it then.
    pub(crate) fn add(&mut self, most: u64) -> Result<u64> {
        let (mut rows, mut last) = (Vec::new(), self.ordered);
        let values = vec![integer(self.ordered), integer(most)];
        self.read.each(values, |row| {
            let movement = rows::unsigned(row.get(0)?)?;
            last = movement;
            for (account, after) in [(2, 5), (3, 6)] {
                rows.push(Row {
                    economy: rows::string(row, 1, movement)?,
                    account: rows::string(row, account, movement)?,
                    asset: rows::string(row, 4, movement)?,
                    movement,
                    after: row.get(after)?,
                });
            }
            Ok(true)
        })?;
        // In the table's own order neighbours share pages.
        rows.sort_unstable_by(|a, b| a.place().cmp(&b.place()));
        for row in rows {
            self.insert.run(vec![
                text(row.economy),
                text(row.account),
                text(row.asset),
                integer(row.movement),
                Cell::Integer(row.after),
            ])?;
        }
        self.note.run(vec![integer(last)])?;
        Ok(last)
    }

    /// That the txn is committed.
    pub(crate) fn added(&mut self, upto: u64) {
        self.ordered = upto;
    }
}

/// Up to which movement the table goes.
pub(crate) fn upto(database: &Database) -> Result<u64> {
    rows::unsigned(database.number("SELECT movement FROM account_movements_upto")?)
}

/// Holds the table against the movements.
pub(crate) struct AccountHistoryCheck {
    find: Statement,
    upto: u64,
}

impl AccountHistoryCheck {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            find: database.prepare(
                "SELECT after FROM account_movements
                 WHERE economy = ?1 AND account = ?2 AND asset = ?3 AND movement = ?4",
            )?,
            upto: upto(database)?,
        })
    }

    /// Up to which movement the table is filled.
    pub(crate) fn upto(&self) -> u64 {
        self.upto
    }

    /// Returns the number of rows too many (negative: too few) in the table, if so many rows of it are of
    /// movements up to that one.
    pub(crate) fn surplus(&self, rows: u64) -> i64 {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        signed(rows).saturating_sub(signed(self.upto.saturating_mul(2)))
    }

    /// Whether both sides of a movement stand in the table as they must, if they are due there.
    pub(crate) fn agrees(&mut self, economy: &EconomyId, entry: &Entry) -> Result<bool> {
        if entry.number > self.upto {
            return Ok(true);
        }
        let Movement {
            posting,
            source_after,
            destination_after,
            ..
        } = &entry.movement;
        let sides = [
            (&posting.source, *source_after),
            (&posting.destination, *destination_after),
        ];
        for (account, after) in sides {
            let values = vec![
                text(economy.as_str()),
                text(account.as_str()),
                text(posting.asset.as_str()),
                integer(entry.number),
            ];
            let found = self.find.first(values, |row| Ok(row.get::<i64>(0)?))?;
            if found != Some(after) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whose balances, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastQuery {
    /// Whose books.
    pub economy: EconomyId,
    /// Which account.
    pub account: AccountId,
    /// The account's newest movement.
    pub newest: Option<u64>,
    /// The assets that are asked about.
    pub assets: Vec<AssetId>,
    /// The newest record of the economy.
    pub seq: u64,
    /// Where its time went back, oldest first.
    pub steps_back: Vec<StepBack>,
    /// After everything that was recorded up to this moment.
    pub at: Timestamp,
}

/// What an account had at a moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PastBalances {
    /// The newest record up to that moment; 0 if the economy had none.
    pub seq: u64,
    /// What was posted of each asset.
    pub posted: BTreeMap<AssetId, i64>,
}

/// Reads the past.
pub(crate) struct Past {
    database: Database,
    record_at: Statement,
    record_of: Statement,
    step: Statement,
    newest_upto: Statement,
}

impl Past {
    pub(crate) fn open(path: &std::path::Path) -> Result<Self> {
        let database = Database::open_reader(path)?;
        Ok(Self {
            record_at: database
                .prepare("SELECT id, recorded_at FROM records WHERE economy = ?1 AND seq = ?2")?,
            record_of: database.prepare("SELECT record FROM movements WHERE id = ?1")?,
            step: database.prepare(
                "SELECT CAST(source AS BLOB), CAST(asset AS BLOB), source_after, destination_after,
                        source_previous, destination_previous
                 FROM movements WHERE id = ?1",
            )?,
            newest_upto: database.prepare(
                "SELECT after FROM account_movements
                 WHERE economy = ?1 AND account = ?2 AND asset = ?3 AND movement <= ?4
                 ORDER BY movement DESC LIMIT 1",
            )?,
            database,
        })
    }

    /// What the account had at the moment that is asked about.
    pub(crate) fn balances(&mut self, query: &PastQuery) -> Result<PastBalances> {
        let seq = self.newest_record(query)?;
        let mut found = PastBalances {
            seq,
            posted: BTreeMap::new(),
        };
        let Some(record) = self.record(&query.economy, seq)? else {
            return Ok(found);
        };
        let Some(newest) = query.newest else {
            return Ok(found);
        };
        let last = self.newest_movement(record.0, newest)?;
        self.walk(query, newest, last, &mut found)?;
        for asset in &query.assets {
            if !found.posted.contains_key(asset)
                && let Some(after) = self.ordered(query, asset, last)?
            {
                found.posted.insert(asset.clone(), after);
            }
        }
        Ok(found)
    }

    fn record(&mut self, economy: &EconomyId, seq: u64) -> Result<Option<(u64, Timestamp)>> {
        let values = vec![text(economy.as_str()), integer(seq)];
        self.record_at.first(values, |row| {
            let at = Timestamp(rows::unsigned(row.get(1)?)?);
            Ok((rows::unsigned(row.get(0)?)?, at))
        })
    }

    /// The economy's newest record up to the moment. Between two records with which its time went back it
    /// never does; where a moment came twice, the later record counts.
    fn newest_record(&mut self, query: &PastQuery) -> Result<u64> {
        let mut beyond = query.seq.saturating_add(1);
        for step in query.steps_back.iter().rev() {
            if step.to <= query.at {
                return self.newest_between(query, step.seq, beyond);
            }
            beyond = step.seq;
        }
        self.newest_between(query, 0, beyond)
    }

    /// The newest record up to the moment among some, of which the first is not beyond it.
    fn newest_between(&mut self, query: &PastQuery, first: u64, beyond: u64) -> Result<u64> {
        let (mut some, mut beyond) = (first, beyond);
        while beyond - some > 1 {
            let middle = some + (beyond - some) / 2;
            let found = self.record(&query.economy, middle)?;
            let missing = || StorageError::damaged(0, "a record of an economy is missing");
            let (_, recorded_at) = found.ok_or_else(missing)?;
            if recorded_at <= query.at {
                some = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(some)
    }

    /// The newest movement up to a record. Movements are numbered in the order of their records.
    fn newest_movement(&mut self, record: u64, newest: u64) -> Result<u64> {
        let (mut some, mut beyond) = (0, newest.saturating_add(1));
        while beyond - some > 1 {
            let middle = some + (beyond - some) / 2;
            let values = vec![integer(middle)];
            let of = self
                .record_of
                .first(values, |row| rows::unsigned(row.get(0)?))?;
            let missing = || StorageError::damaged(0, "a movement is missing");
            if of.ok_or_else(missing)? <= record {
                some = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(some)
    }

    /// Looks through the part of the account's chain that is not in the table yet.
    fn walk(
        &mut self,
        query: &PastQuery,
        newest: u64,
        last: u64,
        found: &mut PastBalances,
    ) -> Result<()> {
        let ordered = upto(&self.database)?;
        let mut next = Some(newest);
        while let Some(number) = next.filter(|number| *number > ordered) {
            let step = self.step.first(vec![integer(number)], |row| {
                let given = rows::string(row, 0, 0)? == query.account.as_str();
                let (after, previous) = if given { (2, 4) } else { (3, 5) };
                let asset: AssetId = rows::name(row, 1, 0)?;
                let previous = row.get::<Option<i64>>(previous)?;
                let previous = previous.map(rows::unsigned).transpose()?;
                Ok((asset, row.get::<i64>(after)?, previous))
            })?;
            let missing = || StorageError::damaged(0, "a movement is missing");
            let (asset, after, previous) = step.ok_or_else(missing)?;
            if number <= last {
                found.posted.entry(asset).or_insert(after);
            }
            next = previous;
        }
        Ok(())
    }

    fn ordered(&mut self, query: &PastQuery, asset: &AssetId, last: u64) -> Result<Option<i64>> {
        let values = vec![
            text(query.economy.as_str()),
            text(query.account.as_str()),
            text(asset.as_str()),
            integer(last),
        ];
        self.newest_upto.first(values, |row| Ok(row.get::<i64>(0)?))
    }
}

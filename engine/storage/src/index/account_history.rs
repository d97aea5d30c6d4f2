//! The account history index: the movements by account, for balances at any moment of the past.
//!
//! No commit of movements writes to the index. The writer fills it in portions when it is idle, or when too many
//! movements are missing. A read walks the newest part of an account's chain, which is not in the index yet.

use std::collections::BTreeMap;

use bursar_ledger::{AccountId, AssetId, EconomyId, Movement, StepBack, Timestamp};
use libsql::Value as Cell;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::record::Entry;
use crate::rows;

type Result<T> = std::result::Result<T, StorageError>;

/// A row of the index: one side of a movement, with the balance after it.
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

/// The writer of the index.
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

    /// The newest movement in the index. All movements before it are in the index too.
    pub(crate) fn ordered(&self) -> u64 {
        self.ordered
    }

    /// Adds the next movements in the caller's transaction, and returns the newest movement that is in it.
    pub(crate) fn add(&mut self, most: u64) -> Result<u64> {
        let mut rows = Vec::new();
        let mut last = self.ordered;
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
        // Rows in the order of the table's key share pages.
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

    /// Notes that the transaction is committed.
    pub(crate) fn added(&mut self, upto: u64) {
        self.ordered = upto;
    }
}

/// Reads the newest movement in the index.
pub(crate) fn upto(database: &Database) -> Result<u64> {
    rows::unsigned(database.number("SELECT movement FROM account_movements_upto")?)
}

/// The check of the index against the movements, for the audit.
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

    /// Returns the newest movement in the index.
    pub(crate) fn upto(&self) -> u64 {
        self.upto
    }

    /// Returns the number of surplus rows in the index (negative if rows are missing), given the number of rows
    /// up to its newest movement.
    pub(crate) fn surplus(&self, rows: u64) -> i64 {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        signed(rows).saturating_sub(signed(self.upto.saturating_mul(2)))
    }

    /// Returns true if the index has both sides of a movement, or does not have to have them yet.
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

/// A query for the balances of an account at a moment in the past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastQuery {
    /// The economy.
    pub economy: EconomyId,
    /// The account.
    pub account: AccountId,
    /// The account's newest movement.
    pub newest: Option<u64>,
    /// The requested assets.
    pub assets: Vec<AssetId>,
    /// The newest record of the economy.
    pub seq: u64,
    /// The records at which the economy's clock was set back, oldest first.
    pub steps_back: Vec<StepBack>,
    /// The moment. Everything that was recorded up to it counts.
    pub at: Timestamp,
}

/// The balances of an account at a moment in the past.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PastBalances {
    /// The newest record up to that moment, or 0 if the economy had none.
    pub seq: u64,
    /// The posted balance of each asset.
    pub posted: BTreeMap<AssetId, i64>,
}

/// A reader of past balances.
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

    /// Returns the balances.
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

    /// Returns the economy's newest record up to the moment. Time never decreases between two records that set the
    /// clock back; if a moment came twice, the later record counts.
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

    /// Returns the newest record up to the moment in a range whose first record is not later.
    fn newest_between(&mut self, query: &PastQuery, first: u64, beyond: u64) -> Result<u64> {
        let mut some = first;
        let mut beyond = beyond;
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

    /// Returns the newest movement up to a record. Movements are numbered in the order of their records.
    fn newest_movement(&mut self, record: u64, newest: u64) -> Result<u64> {
        let mut some = 0;
        let mut beyond = newest.saturating_add(1);
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

    /// Walks the part of the account's chain that is not in the index yet.
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

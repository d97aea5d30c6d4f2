//! The audit of all rows that the records of a file do not explain: keys, subjects, movements, components.

use bursar_ledger::Digest;

use super::Auditor;
use super::report::P;
use super::scan::{KeyColumn, Scan};
use super::watch::Watch;
use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::{rows, schema};

impl Auditor {
    /// Checks that the tables contain no rows without a record, and that the schema is the expected one.
    pub(super) fn check_tables(
        &mut self,
        database: &Database,
        watch: &Watch<'_>,
    ) -> Result<(), StorageError> {
        let mut check = || -> Result<(), StorageError> {
            self.check_keys(database, watch)?;
            self.check_subject_rows(database, watch)?;
            self.check_order(database, watch)?;
            self.check_foreign_components(database)?;
            self.check_strays(database)
        };
        match check() {
            Ok(()) => {}
            Err(error @ StorageError::Damaged { .. }) => self.find(P::Explainable, error),
            Err(error) => return Err(error),
        }
        if let Some(what) = schema::difference(database)? {
            self.find(P::Explainable, what);
        }
        Ok(())
    }

    /// Checks that there are as many keys as answers. The key of each answer was found before, so equal
    /// numbers mean that there are no others.
    fn check_keys(&mut self, database: &Database, watch: &Watch<'_>) -> Result<(), StorageError> {
        // The writer may have added keys of later records meanwhile.
        let upto = self.state.record;
        let (keys, mut planted) = scan_keys(database, watch, upto, upto)?;
        let kept = format!("{keys} keys are kept for {} answers", self.counts.keyed);
        let differs = keys != self.counts.keyed;
        if differs {
            planted = scan_keys(database, watch, upto, 0)?.1;
        }
        if let Some(record) = planted {
            self.find(
                P::ExactlyOnce,
                format!("a key leads to record {record}, which has another"),
            );
        }
        if differs {
            self.find(P::ExactlyOnce, kept);
        }
        Ok(())
    }

    /// Checks that there are as many rows of subjects as the records have subjects. Each of these was found
    /// before.
    fn check_subject_rows(
        &mut self,
        database: &Database,
        watch: &Watch<'_>,
    ) -> Result<(), StorageError> {
        let rows = subject_rows(self.state.record).count(database, watch)?;
        let due = self.counts.subjects;
        if rows != due {
            let what = format!("{rows} ids lead to records, and {due} should");
            self.find(P::Explainable, what);
        }
        Ok(())
    }

    /// Checks that the table of movements by account has no more rows than the records have movements.
    fn check_order(&mut self, database: &Database, watch: &Watch<'_>) -> Result<(), StorageError> {
        let rows = ordered_rows(self.order.upto()).count(database, watch)?;
        let surplus = self.order.surplus(rows);
        if surplus != 0 {
            let what = format!("{surplus} rows too many in the order of accounts");
            self.find(P::Durable, what);
        }
        Ok(())
    }

    /// Checks that a record has registered each stored component.
    fn check_foreign_components(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut read = database.prepare("SELECT digest FROM components")?;
        let mut foreign = Vec::new();
        read.each(Vec::new(), |row| {
            let digest = rows::digest(row, 0, 0)?;
            if !self.is_registered(&digest) {
                foreign.push(digest);
            }
            Ok(true)
        })?;
        let mut newer = database
            .prepare("SELECT 1 FROM records WHERE id > ?1 AND kind = 'add_component' LIMIT 1")?;
        let newer = newer.first(vec![integer(self.state.record)], |_| Ok(()))?;
        for digest in foreign.into_iter().filter(|_| newer.is_none()) {
            self.find(
                P::Explainable,
                format!("no record has registered the component {digest}"),
            );
        }
        Ok(())
    }

    fn is_registered(&self, digest: &Digest) -> bool {
        let mut books = self.state.economies.values();
        books.any(|books| books.components().contains_key(digest))
    }

    /// Checks that there are no records with a number below 1, and no movements without a record.
    fn check_strays(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut records = database.prepare("SELECT id FROM records WHERE id < 1 LIMIT 1")?;
        if let Some(id) = records.first(Vec::new(), |row| Ok(row.get::<i64>(0)?))? {
            self.find(P::Explainable, format!("record {id} was added by somebody"));
        }
        let mut movements = database.prepare(
            "SELECT id, record FROM movements
             WHERE id < 1 OR (id > ?1 AND NOT EXISTS (
                 SELECT 1 FROM records WHERE records.id = movements.record AND records.id > ?2))
             ORDER BY id LIMIT 1",
        )?;
        let values = vec![integer(self.state.movement), integer(self.state.record)];
        let stray = movements.first(values, |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
        if let Some((id, record)) = stray {
            let what = format!("movement {id} was added by somebody; it names record {record}");
            self.find(P::Explainable, what);
        }
        Ok(())
    }
}

/// Returns the scan of subjects. Its column is true for subjects of records up to `upto`.
fn subject_rows(upto: u64) -> Scan {
    Scan {
        table: "subjects",
        key: &[KeyColumn::Blob("id"), KeyColumn::Number("record")],
        columns: "record <= ?1",
        values: vec![integer(upto)],
    }
}

/// Returns the scan of movements by account. Its column is true for movements up to `upto`.
fn ordered_rows(upto: u64) -> Scan {
    Scan {
        table: "account_movements",
        key: &[
            KeyColumn::Text("economy"),
            KeyColumn::Text("account"),
            KeyColumn::Text("asset"),
            KeyColumn::Number("movement"),
        ],
        columns: "movement <= ?1",
        values: vec![integer(upto)],
    }
}

/// Returns the scan of keys. Its columns are the key's record, true if that is at most `upto`, and true if
/// that is after `trusted` and has another key or does not exist.
fn key_rows(upto: u64, trusted: u64) -> Scan {
    Scan {
        table: "keys",
        key: &[KeyColumn::Text("economy"), KeyColumn::Text("key")],
        columns: "record, record <= ?1, record > ?2 AND NOT EXISTS (
                      SELECT 1 FROM records WHERE id = keys.record
                      AND economy = keys.economy AND idempotency_key = keys.key)",
        values: vec![integer(upto), integer(trusted)],
    }
}

/// Returns the number of keys of records up to `upto`, and the first record after `trusted` to which a key
/// leads that is not its own.
fn scan_keys(
    database: &Database,
    watch: &Watch<'_>,
    upto: u64,
    trusted: u64,
) -> Result<(u64, Option<i64>), StorageError> {
    let scan = key_rows(upto, trusted);
    let mut count = 0;
    let mut planted = None::<i64>;
    scan.run(database, watch, |row, first| {
        let record = rows::number(row, first, 0)?;
        count += u64::from(rows::number(row, first + 1, 0)? != 0);
        if rows::number(row, first + 2, 0)? != 0 {
            planted = Some(planted.map_or(record, |planted| planted.min(record)));
        }
        Ok(())
    })?;
    Ok((count, planted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise each slice would read all rows before it again.
    #[test]
    fn each_slice_of_a_table_is_found_by_its_whole_key() {
        let database = Database::in_memory().expect("a database");
        schema::migrate(&database).expect("the schema");
        for (scan, key) in [
            (key_rows(1, 1), "(economy,key)>(?,?)"),
            (subject_rows(1), "(id,record)>(?,?)"),
            (
                ordered_rows(1),
                "(economy,account,asset,movement)>(?,?,?,?)",
            ),
        ] {
            let explained = format!("EXPLAIN QUERY PLAN {}", scan.statement(true));
            let mut plan = database.prepare(&explained).expect("a statement");
            let mut steps = String::new();
            let values = vec![integer(1); scan.values.len() + scan.key.len()];
            let read = plan.each(values, |row| {
                steps.push_str(&row.get::<String>(3)?);
                Ok(true)
            });
            read.expect("a plan");
            assert!(steps.contains(key), "{steps}");
            assert!(!steps.contains("TEMP B-TREE"), "{steps}");
        }
    }
}

//! The check of the other tables of the file: they hold nothing that does not follow from the records.

use bursar_ledger::Digest;

use super::Auditor;
use super::report::P;
use super::scan::{KeyColumn, Scan};
use super::watch::Watch;
use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::{rows, schema};

impl Auditor {
    /// Keys, components and rows that no record has brought, and what guards the journal.
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

    /// There are as many keys as answers, and each answer's key was found: so they are the same.
    fn check_keys(&mut self, database: &Database, watch: &Watch<'_>) -> Result<(), StorageError> {
        // Keys of records that came after are those of the writer beside us.
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

    /// There are as many rows as records have subjects, and each of those was found.
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

    /// The movements in the order of accounts are those of the records, and no more.
    fn check_order(&mut self, database: &Database, watch: &Watch<'_>) -> Result<(), StorageError> {
        let rows = ordered_rows(self.order.upto()).count(database, watch)?;
        let surplus = self.order.surplus(rows);
        if surplus != 0 {
            let what = format!("{surplus} rows too many in the order of accounts");
            self.find(P::Durable, what);
        }
        Ok(())
    }

    /// Bytes that nobody has registered.
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

    /// Rows outside of the numbers that were followed.
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

/// The subjects, and whether they are of records up to `upto`.
fn subject_rows(upto: u64) -> Scan {
    Scan {
        table: "subjects",
        key: &[KeyColumn::Blob("id"), KeyColumn::Number("record")],
        columns: "record <= ?1",
        values: vec![integer(upto)],
    }
}

/// The movements in the order of accounts, and whether they are among those up to `upto`.
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

/// The keys with their records, whether these are up to `upto`, and whether they have another key; that
/// is only looked for after `trusted`.
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

/// Counts the keys of records up to `upto`, and looks for the first key that is not its record's, among
/// those of records after `trusted`.
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

    /// Else each slice would read all rows before it again.
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
            let mut said = String::new();
            let values = vec![integer(1); scan.values.len() + scan.key.len()];
            let read = plan.each(values, |row| {
                said.push_str(&row.get::<String>(3)?);
                Ok(true)
            });
            read.expect("a plan");
            assert!(said.contains(key), "{said}");
            assert!(!said.contains("TEMP B-TREE"), "{said}");
        }
    }
}

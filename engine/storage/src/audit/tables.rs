//! What stands in the file beside the records that were followed: nothing more, and nothing else.

use bursar_ledger::Digest;

use super::Auditor;
use super::report::P;
use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::{rows, schema};

impl Auditor {
    /// Keys, components and rows that no record has brought, and what guards the journal.
    pub(super) fn check_tables(&mut self, database: &Database) -> Result<(), StorageError> {
        // From one moment of the file: what a running writer adds, it adds with its record.
        let checked = database.reading(|database| {
            self.check_keys(database)?;
            self.check_subject_rows(database)?;
            self.check_order(database)?;
            self.check_foreign_components(database)?;
            self.check_strays(database)
        });
        match checked {
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
    fn check_keys(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut count = database.prepare("SELECT count(*) FROM keys WHERE record <= ?1")?;
        let upto = || vec![integer(self.state.record)];
        let keys = count.first(upto(), |row| rows::unsigned(row.get(0)?))?;
        let keys = keys.unwrap_or_default();
        let kept = format!("{keys} keys are kept for {} answers", self.counts.keyed);
        // Keys of records that came after are those of the writer beside us.
        let mut planted = database.prepare(
            "SELECT record FROM keys WHERE (?2 OR record > ?1) AND NOT EXISTS (
                 SELECT 1 FROM records WHERE id = keys.record
                 AND economy = keys.economy AND idempotency_key = keys.key)
             ORDER BY record LIMIT 1",
        )?;
        let differs = keys != self.counts.keyed;
        let values = vec![integer(self.state.record), integer(u64::from(differs))];
        let planted = planted.first(values, |row| Ok(row.get::<i64>(0)?))?;
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
    fn check_subject_rows(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut count = database.prepare("SELECT count(*) FROM subjects WHERE record <= ?1")?;
        let upto = vec![integer(self.state.record)];
        let rows = count.first(upto, |row| rows::unsigned(row.get(0)?))?;
        let (rows, due) = (rows.unwrap_or_default(), self.counts.subjects);
        if rows != due {
            let what = format!("{rows} ids lead to records, and {due} should");
            self.find(P::Explainable, what);
        }
        Ok(())
    }

    /// The movements in the order of accounts are those of the records, and no more.
    fn check_order(&mut self, database: &Database) -> Result<(), StorageError> {
        let surplus = self.order.surplus(database)?;
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

//! The audit of all rows that the records of a file do not explain: components, and what was added to the schema.

use bursar_ledger::Digest;

use super::auditor::Auditor;
use super::report::P;
use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::{rows, schema};

impl Auditor<'_> {
    /// Checks that the tables contain no rows without a record, and that the schema is the expected one.
    pub(super) fn check_tables(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut check = || -> Result<(), StorageError> {
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
        // A writer may have registered a component meanwhile.
        let mut newer = database.prepare("SELECT 1 FROM frames WHERE id > ?1 LIMIT 1")?;
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

    /// Checks that there are no frames with a number below 1.
    fn check_strays(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut frames = database.prepare("SELECT id FROM frames WHERE id < 1 LIMIT 1")?;
        if let Some(id) = frames.first(Vec::new(), |row| Ok(row.get::<i64>(0)?))? {
            self.find(
                P::Explainable,
                format!("frame {id} was added by another program"),
            );
        }
        Ok(())
    }
}

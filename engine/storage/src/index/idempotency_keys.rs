//! The exact index of all idempotency keys ever used.
//!
//! It has an interface of its own, of two questions, since it is what grows with every request for
//! ever: today a table with a unique index, which costs more the more random keys there are.

use bursar_ledger::EconomyId;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// Every key, and the record that it led to.
pub(crate) struct KeyIndex {
    find: Statement,
    insert: Statement,
}

impl KeyIndex {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            find: database.prepare("SELECT record FROM keys WHERE economy = ?1 AND key = ?2")?,
            insert: database
                .prepare("INSERT INTO keys (economy, key, record) VALUES (?1, ?2, ?3)")?,
        })
    }

    /// The record that a key led to.
    pub(crate) fn find(
        &mut self,
        economy: &EconomyId,
        key: &str,
    ) -> Result<Option<u64>, StorageError> {
        let values = vec![text(economy.as_str()), text(key)];
        self.find.first(values, |row| rows::unsigned(row.get(0)?))
    }

    /// Binds a key to a record, in the txn of that record. A key that is bound already is an error:
    /// the index is the last line against paying twice.
    pub(crate) fn insert(
        &mut self,
        economy: &EconomyId,
        key: &str,
        record: u64,
    ) -> Result<(), StorageError> {
        self.insert
            .run(vec![text(economy.as_str()), text(key), integer(record)])
    }
}

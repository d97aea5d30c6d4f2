//! The exact index of all idempotency keys ever used.
//!
//! It has a narrow interface, because it grows with every request and has to be replaceable. Today it is a table
//! with a unique index, whose cost grows with the number of random keys.

use bursar_ledger::EconomyId;

use crate::database::{Database, Statement, integer, text};
use crate::error::StorageError;
use crate::rows;

/// The index from idempotency keys to records.
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

    /// Returns the record of a key.
    pub(crate) fn find(
        &mut self,
        economy: &EconomyId,
        key: &str,
    ) -> Result<Option<u64>, StorageError> {
        let values = vec![text(economy.as_str()), text(key)];
        self.find.first(values, |row| rows::unsigned(row.get(0)?))
    }

    /// Binds a key to a record, in the transaction of that record. Fails if the key is bound already, so that
    /// no request can be recorded twice.
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

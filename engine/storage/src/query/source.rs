//! The source of a query: the log, its index and a published state.

use bursar_ledger::{EconomyId, SubjectId};

use crate::error::{Result, StorageError};
use crate::index::Index;
use crate::log::reader::LogReader;
use crate::record::{EconomyNumber, Record};
use crate::state::State;

/// The log, its index and the state up to whose newest record a query reads.
pub(crate) struct QuerySource<'a> {
    pub(crate) log: &'a mut LogReader,
    pub(crate) index: &'a Index,
    pub(crate) state: &'a State,
}

impl QuerySource<'_> {
    /// Returns the number of an economy, or `None` if the state does not have it.
    pub(crate) fn number(&self, economy: &EconomyId) -> Option<EconomyNumber> {
        self.state.number(economy)
    }

    /// Returns the records of an economy that are found by an id, oldest first.
    pub(crate) fn records_of_id(
        &mut self,
        economy: &EconomyId,
        id: SubjectId,
    ) -> Result<Vec<Record>> {
        let Some(number) = self.number(economy) else {
            return Ok(Vec::new());
        };
        let mut records = Vec::new();
        for record in self.index.records_of_id(number.0, &id)? {
            if record > self.state.record {
                break;
            }
            let record = self.log.record(record)?;
            // Two ids may have one fingerprint.
            let has_id = || -> Result<bool> {
                let subjects = record.act()?.subjects();
                Ok(subjects.iter().any(|subject| subject.id == id))
            };
            if record.number == number && has_id()? {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Returns the number in the file of a record of an economy.
    pub(crate) fn record_of(&self, economy: EconomyNumber, seq: u64) -> Result<Option<u64>> {
        let Some(before) = seq.checked_sub(1) else {
            return Ok(None);
        };
        let found = self.index.records_after(economy.0, before, 1)?;
        let found = found.first().filter(|(found, _)| *found == seq);
        let found = found.map(|(_, record)| *record);
        Ok(found.filter(|record| *record <= self.state.record))
    }

    /// Returns a record of an economy by its number there.
    pub(crate) fn record_at(&mut self, economy: &EconomyId, seq: u64) -> Result<Option<Record>> {
        let Some(number) = self.number(economy) else {
            return Ok(None);
        };
        let Some(record) = self.record_of(number, seq)? else {
            return Ok(None);
        };
        let record = self.log.record(record)?;
        if record.number == number && record.seq == seq {
            return Ok(Some(record));
        }
        let what = format!("the index names it as record {seq} of `{economy}`");
        Err(StorageError::damaged(record.id, what))
    }
}

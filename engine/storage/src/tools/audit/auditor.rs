//! The auditor: what an audit of a file knows so far.

use std::collections::BTreeMap;
use std::fmt;

use bursar_ledger::{AccountId, AssetId, EconomyId};

use super::heads::{Heads, SeenHead};
use super::indexed::EntrySums;
use super::report::{Counts, LimitBreach, P};
use crate::commit::submission::Render;
use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::index::Index;
use crate::log::reader::LogReader;
use crate::query::source::QuerySource;
use crate::state::State;

/// The values with which an audit compares a file.
pub(crate) struct AuditInput<'a> {
    /// The state in use. The audit reads up to its record, or to the newest record if there is none because
    /// the file could not be loaded.
    pub(crate) state: Option<&'a State>,
    /// Heads that a client has seen before.
    pub(crate) heads: &'a [SeenHead],
    /// The index of the file, which is compared with the log; none if it is not used.
    pub(crate) index: Option<&'a Index>,
}

/// An audit in progress.
pub(super) struct Auditor<'a> {
    pub(super) state: State,
    pub(super) render: Render,
    /// The epoch of each economy's newest record.
    pub(super) epochs: BTreeMap<EconomyId, u64>,
    pub(super) heads: Heads,
    pub(super) log: LogReader,
    pub(super) index: Option<&'a Index>,
    /// The entries that the records give, to compare with those of the index.
    pub(super) expected: EntrySums,
    pub(super) find_component: Statement,
    pub(super) findings: BTreeMap<u8, Vec<String>>,
    /// The record that last changed the limits of an account, or moved its balance beyond them by force.
    pub(super) limits_set: BTreeMap<(EconomyId, AccountId, AssetId), u64>,
    pub(super) outside: Vec<LimitBreach>,
    pub(super) checkpoint_met: Option<u64>,
    /// True if the pages of the file were checked; false if the write-ahead log grew too much meanwhile.
    pub(super) pages_checked: bool,
    pub(super) counts: Counts,
}

impl<'a> Auditor<'a> {
    pub(super) fn new(
        database: &Database,
        render: Render,
        against: &AuditInput<'a>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            state: State::default(),
            render,
            epochs: BTreeMap::new(),
            heads: Heads::new(against.heads),
            log: LogReader::open(database)?,
            index: against.index,
            expected: EntrySums::new(),
            find_component: database.prepare("SELECT bytes FROM components WHERE digest = ?1")?,
            findings: BTreeMap::new(),
            limits_set: BTreeMap::new(),
            outside: Vec::new(),
            checkpoint_met: None,
            pages_checked: false,
            counts: Counts::default(),
        })
    }

    /// Adds a finding.
    pub(super) fn find(&mut self, promise: P, what: impl fmt::Display) {
        self.findings
            .entry(promise as u8)
            .or_default()
            .push(what.to_string());
    }

    /// Runs a query up to the record that was checked last. Returns none if there is no index.
    pub(super) fn query<T>(
        &mut self,
        query: impl FnOnce(&mut QuerySource<'_>) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let Some(index) = self.index else {
            return Ok(None);
        };
        let mut source = QuerySource {
            log: &mut self.log,
            index,
            state: &self.state,
        };
        query(&mut source).map(Some)
    }
}

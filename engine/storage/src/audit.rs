//! The audit: every promise, checked against every record from the first.
//!
//! It rebuilds the state from nothing but the journal and compares. Records of this version are
//! decided once more and rendered once more, and must give the same effects and the same bytes;
//! records of another version are taken at their word, since a new version must not change history.

mod records;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bursar_ledger::{AccountId, Books, EconomyId, Violation, check};

pub use report::{AuditReport, EconomyHead, Outside, Promise};

use crate::by_account::OrderCheck;
use crate::checkpoint::{self, Checkpoint};
use crate::database::{Database, Statement, integer};
use crate::error::StorageError;
use crate::keys::KeyIndex;
use crate::state::State;
use crate::subjects::{About, SubjectIndex};
use crate::submission::Render;
use crate::{rows, schema};
use report::{Counts, P};

/// Records that are read under one snapshot of the file, so that the write-ahead log can go on.
const RECORDS_AT_ONCE: u64 = 10_000;

/// The state that a file says it is in.
pub(crate) fn load(path: &Path) -> Result<State, StorageError> {
    let database = Database::open_reader(path)?;
    schema::check(&database)?;
    checkpoint::load(&database).map(|(state, _)| state)
}

/// Checks a file up to the record that `expected` stands at.
pub(crate) fn audit(
    path: &Path,
    expected: &State,
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, StorageError> {
    let database = Database::open_reader(path)?;
    let mut auditor = Auditor::new(&database, render)?;
    let checkpoint = match checkpoint::newest(&database)? {
        Checkpoint::Absent => None,
        Checkpoint::Sound(state) => Some(state),
        Checkpoint::Unsound { record, what } => {
            auditor.find(
                P::Durable,
                format!("the checkpoint at record {record}: {what}"),
            );
            None
        }
    };
    while auditor.state.record < expected.record {
        progress(auditor.state.record, expected.record);
        if !auditor.read_some(&database, expected.record, checkpoint.as_ref())? {
            break;
        }
    }
    progress(auditor.state.record, expected.record);
    if auditor.state != *expected {
        let what = "the state in use differs from the one that the journal gives";
        auditor.find(P::Durable, what);
    }
    auditor.check_keys(&database)?;
    auditor.count_subjects(&database)?;
    if auditor.order.surplus(&database)? != 0 {
        auditor.find(P::Durable, "the order of accounts has other movements");
    }
    auditor.check_books();
    auditor.check_pages(&database)?;
    Ok(auditor.report())
}

struct Auditor {
    state: State,
    render: Render,
    /// Which openings of the file were by this version.
    epochs: BTreeSet<u64>,
    keys: KeyIndex,
    subjects: SubjectIndex,
    about: About,
    order: OrderCheck,
    find_component: Statement,
    findings: BTreeMap<u8, Vec<String>>,
    /// The record that last changed an account's limits, or moved it outside of them by force.
    limits_set: BTreeMap<(EconomyId, AccountId), u64>,
    outside: Vec<Outside>,
    checkpoint_met: Option<u64>,
    counts: Counts,
}

impl Auditor {
    fn new(database: &Database, render: Render) -> Result<Self, StorageError> {
        let mut epochs = BTreeSet::new();
        let mut read = database.prepare("SELECT epoch, version FROM epochs")?;
        read.each(Vec::new(), |row| {
            if row.get::<String>(1)? == env!("CARGO_PKG_VERSION") {
                epochs.insert(rows::unsigned(row.get(0)?)?);
            }
            Ok(true)
        })?;
        Ok(Self {
            state: State::default(),
            render,
            epochs,
            keys: KeyIndex::open(database)?,
            subjects: SubjectIndex::open(database)?,
            about: About::open(database)?,
            order: OrderCheck::open(database)?,
            find_component: database.prepare("SELECT bytes FROM components WHERE digest = ?1")?,
            findings: BTreeMap::new(),
            limits_set: BTreeMap::new(),
            outside: Vec::new(),
            checkpoint_met: None,
            counts: Counts::default(),
        })
    }

    fn find(&mut self, promise: P, what: impl std::fmt::Display) {
        self.findings
            .entry(promise as u8)
            .or_default()
            .push(what.to_string());
    }

    /// Reads the next records. False if the journal ended early or cannot be followed any further.
    fn read_some(
        &mut self,
        database: &Database,
        last: u64,
        checkpoint: Option<&State>,
    ) -> Result<bool, StorageError> {
        let (from, movement) = (self.state.record, self.state.movement);
        let mut broken = false;
        let read = rows::each_record(database, from, movement, |record| {
            if let Err(error) = self.check_record(&record) {
                self.find(P::Explainable, error);
                broken = true;
                return Ok(false);
            }
            if let Some(checkpoint) = checkpoint.filter(|it| it.record == self.state.record) {
                self.checkpoint_met = Some(checkpoint.record);
                if self.state != *checkpoint {
                    self.find(P::Durable, "the newest checkpoint differs from the journal");
                }
            }
            Ok(self.state.record < last && self.state.record - from < RECORDS_AT_ONCE)
        });
        match read {
            Ok(()) if !broken && self.state.record == from => {
                self.find(P::Durable, format!("records after {from} are missing"));
                Ok(false)
            }
            Ok(()) => Ok(!broken),
            Err(error @ StorageError::Damaged { .. }) => {
                self.find(P::Explainable, error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn check_keys(&mut self, database: &Database) -> Result<(), StorageError> {
        // Beside a running writer there may be keys of records that came after.
        let mut count = database.prepare("SELECT count(*) FROM keys WHERE record <= ?1")?;
        let upto = vec![integer(self.state.record)];
        let keys = count.first(upto, |row| rows::unsigned(row.get(0)?))?;
        let keys = keys.unwrap_or_default();
        if keys != self.counts.keyed {
            let what = format!("{keys} keys are kept for {} answers", self.counts.keyed);
            self.find(P::ExactlyOnce, what);
        }
        Ok(())
    }

    /// No row of the index of subjects is there for nothing.
    fn count_subjects(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut count = database.prepare("SELECT count(*) FROM subjects WHERE record <= ?1")?;
        let upto = vec![integer(self.state.record)];
        let rows = count.first(upto, |row| rows::unsigned(row.get(0)?))?;
        let rows = rows.unwrap_or_default();
        if rows != self.counts.subjects {
            let known = self.counts.subjects;
            let what = format!("{rows} ids lead to records, and {known} should");
            self.find(P::Explainable, what);
        }
        Ok(())
    }

    fn check_books(&mut self) {
        let economies = self.state.economies.clone();
        for (economy, books) in &economies {
            for violation in check(books) {
                self.judge(economy, books, violation);
            }
        }
    }

    fn judge(&mut self, economy: &EconomyId, books: &Books, violation: Violation) {
        let what = format!("{economy}: {violation}");
        match violation {
            Violation::NotConserved { .. } | Violation::UnknownAsset { .. } => {
                self.find(P::Conservation, what);
            }
            Violation::BelowFloor { account, .. }
            | Violation::AboveCeiling { account, .. }
            | Violation::OverHeld { account, .. } => {
                let place = (economy.clone(), account);
                match self.limits_set.get(&place) {
                    // The movements themselves were decided again; only new limits can explain it,
                    // or a reversal that was forced.
                    Some(seq) if books.account(&place.1).is_some() => {
                        let (economy, explained_by_seq) = (economy.clone(), *seq);
                        self.outside.push(Outside {
                            economy,
                            what,
                            explained_by_seq,
                        });
                    }
                    Some(_) | None => self.find(P::Limits, what),
                }
            }
            Violation::ForeignIssuer { .. } => self.find(P::Authority, what),
            Violation::LooseReversal { .. } => self.find(P::Explainable, what),
            Violation::OutOfRange { .. }
            | Violation::HeldMiscounted { .. }
            | Violation::StateMiscounted { .. } => self.find(P::Limits, what),
        }
    }

    fn check_pages(&mut self, database: &Database) -> Result<(), StorageError> {
        let mut check = database.prepare("PRAGMA integrity_check(10)")?;
        let mut said = Vec::new();
        check.each(Vec::new(), |row| {
            said.push(row.get::<String>(0)?);
            Ok(true)
        })?;
        for line in said.into_iter().filter(|line| line != "ok") {
            self.find(P::Durable, line);
        }
        Ok(())
    }
}

//! The audit: every promise, checked against every record from the first.
//!
//! It rebuilds the state from nothing but the journal and compares. Records of this version are
//! decided once more and rendered once more, and must give the same effects and the same bytes;
//! records of another version are taken at their word, since a new version must not change history.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bursar_ledger::{
    AccountId, Act, Answer, Ask, Books, Change, Digest, EconomyId, Ending, Verdict, Violation,
    check, decide,
};
use serde::Serialize;
use serde_json::Value;

use crate::database::{Database, integer};
use crate::error::StorageError;
use crate::keys::KeyIndex;
use crate::record::{Outcome, Record};
use crate::rows;
use crate::state::State;
use crate::submission::{Recorded, Render};

/// Records that are read under one snapshot of the file, so that the write-ahead log can go on.
const RECORDS_AT_ONCE: u64 = 10_000;

/// Findings that are spelled out per promise; beyond, they are only counted.
const FINDINGS_MAX: usize = 20;

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuditReport {
    /// Whether every promise holds.
    pub ok: bool,
    /// Records checked.
    pub records: u64,
    /// Movements checked.
    pub movements: u64,
    /// The promises, in the order of the README.
    pub promises: Vec<Promise>,
    /// The economies, with the hash that covers all their records.
    pub economies: Vec<EconomyHead>,
    /// Accounts outside their limits because an operator changed the limits.
    pub outside: Vec<Outside>,
}

/// One promise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Promise {
    /// Its number in the README.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was checked.
    pub checked: String,
    /// What was found, the first 20.
    pub findings: Vec<String>,
}

/// An economy at the end of its journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EconomyHead {
    /// Its name.
    pub economy: EconomyId,
    /// How many records it has.
    pub seq: u64,
    /// The hash of the newest, which covers all before it.
    pub head: Digest,
}

/// An account outside its limits, and why that may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outside {
    /// Whose books.
    pub economy: EconomyId,
    /// How it is outside.
    pub what: String,
    /// The record that last changed the account's limits.
    pub explained_by_seq: u64,
}

/// The promises, as the README numbers them.
const NAMES: [&str; 10] = [
    "Conservation",
    "Floors and ceilings",
    "Exactly once",
    "All or nothing",
    "Durable",
    "Authority",
    "Serializable rules",
    "Deterministic",
    "Contained",
    "Explainable",
];

/// A promise by its number.
#[derive(Clone, Copy)]
enum P {
    Conservation = 1,
    Limits,
    ExactlyOnce,
    AllOrNothing,
    Durable,
    Authority,
    Serializable,
    Deterministic,
    Contained,
    Explainable,
}

/// The state that a file says it is in.
pub(crate) fn load(path: &Path) -> Result<State, StorageError> {
    let database = Database::open_reader(path)?;
    let mut state = rows::newest_checkpoint(&database)?;
    let after = (state.record, state.movement);
    rows::each_record(&database, after.0, after.1, |record| {
        state.replay(&record)?;
        Ok(true)
    })?;
    Ok(state)
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
    let checkpoint = rows::newest_checkpoint(&database)?;
    while auditor.state.record < expected.record {
        progress(auditor.state.record, expected.record);
        if !auditor.read_some(&database, expected.record, &checkpoint)? {
            break;
        }
    }
    progress(auditor.state.record, expected.record);
    if auditor.state != *expected {
        let what = "the state in use differs from the one that the journal gives";
        auditor.find(P::Durable, what);
    }
    auditor.check_keys(&database)?;
    auditor.check_books();
    auditor.check_pages(&database)?;
    Ok(auditor.report())
}

/// What has been counted on the way.
#[derive(Default)]
struct Counts {
    movements: u64,
    keyed: u64,
    calls: u64,
    facts: u64,
    draws: u64,
    harmless: u64,
    decided: u64,
}

struct Auditor {
    state: State,
    render: Render,
    /// Which openings of the file were by this version.
    epochs: BTreeSet<u64>,
    keys: KeyIndex,
    findings: BTreeMap<u8, Vec<String>>,
    /// The record that last changed an account's limits.
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
        checkpoint: &State,
    ) -> Result<bool, StorageError> {
        let (from, movement) = (self.state.record, self.state.movement);
        let mut broken = false;
        let read = rows::each_record(database, from, movement, |record| {
            if let Err(error) = self.check_record(&record) {
                self.find(P::Explainable, error);
                broken = true;
                return Ok(false);
            }
            if self.state.record == checkpoint.record {
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

    fn check_record(&mut self, record: &Record) -> Result<(), StorageError> {
        let act: Act = serde_json::from_str(&record.act)
            .map_err(|error| StorageError::damaged(record.id, format!("its act: {error}")))?;
        let before = self
            .state
            .books(&record.economy)
            .map(|books| (**books).clone());
        let verdict = decide(before.as_ref(), record.recorded_at, &act);
        self.count(record, &act);
        self.check_effects(record);
        self.state.replay(record)?;
        self.check_identity(record, &act)?;
        if self.epochs.contains(&record.epoch) {
            self.counts.decided += 1;
            self.check_verdict(record, &verdict)?;
            self.check_answer(record, &act, &verdict);
        }
        let decision = record.decision()?;
        for change in decision.changes() {
            if let Change::AccountSet { account, .. } = change {
                let place = (record.economy.clone(), account.clone());
                self.limits_set.insert(place, record.seq);
            }
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, act: &Act) {
        self.counts.movements += record.entries.len() as u64;
        if let Act::Call(call) = act {
            let facts = call.transcript.facts();
            self.counts.calls += 1;
            self.counts.facts += facts.len() as u64;
            let drawn = |fact: &&bursar_ledger::Fact| matches!(fact.ask, Ask::Draw { .. });
            self.counts.draws += facts.iter().filter(drawn).count() as u64;
            let refused = |fact: &bursar_ledger::Fact| matches!(fact.answer, Answer::Refused(_));
            if matches!(call.ending, Ending::Faulted { .. }) || facts.iter().any(refused) {
                self.counts.harmless += 1;
            }
        }
    }

    /// What was refused, declined or faulted has moved and changed nothing.
    fn check_effects(&mut self, record: &Record) {
        let empty = record.entries.is_empty() && record.changes == "[]";
        match record.outcome {
            Outcome::Applied => {}
            Outcome::Rejected | Outcome::Declined | Outcome::Faulted if empty => {}
            Outcome::Rejected | Outcome::Declined => {
                self.find(
                    P::AllOrNothing,
                    format!("record {} was refused and moved", record.id),
                );
            }
            Outcome::Faulted => {
                self.find(
                    P::Contained,
                    format!("record {} is a fault and moved", record.id),
                );
            }
        }
    }

    /// Who asked, under which key, for what: all of it is there and agrees.
    fn check_identity(&mut self, record: &Record, act: &Act) -> Result<(), StorageError> {
        if record.actor.is_empty() || record.kind != act.kind() {
            self.find(
                P::Explainable,
                format!("record {} does not say who asked what", record.id),
            );
        }
        if let Act::Transfer(transfer) = act {
            let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
            let asked = request
                .pointer("/body/postings")
                .cloned()
                .unwrap_or_default();
            if serde_json::to_value(&transfer.postings).unwrap_or_default() != asked {
                self.find(
                    P::Explainable,
                    format!(
                        "record {} decided upon something that was not asked",
                        record.id
                    ),
                );
            }
        }
        if let Some(key) = &record.key {
            self.counts.keyed += 1;
            if self.keys.find(&record.economy, key)? != Some(record.id) {
                let what = format!("the key of record {} leads elsewhere", record.id);
                self.find(P::ExactlyOnce, what);
            }
        }
        Ok(())
    }

    /// Decided again, it comes to the same.
    fn check_verdict(&mut self, record: &Record, verdict: &Verdict) -> Result<(), StorageError> {
        let kept = record.decision()?;
        let same = match (verdict, record.outcome) {
            (Verdict::Applied(decision), Outcome::Applied) => {
                decision.movements() == kept.movements() && decision.changes() == kept.changes()
            }
            (Verdict::Rejected(_), Outcome::Rejected)
            | (Verdict::Declined, Outcome::Declined)
            | (Verdict::Faulted, Outcome::Faulted) => true,
            _ => false,
        };
        if !same {
            let promise = if record.kind == "call" {
                P::Serializable
            } else {
                P::Limits
            };
            self.find(
                promise,
                format!("record {} would be decided otherwise", record.id),
            );
            if record.kind == "call" {
                self.find(
                    P::Deterministic,
                    format!("the call in record {} differs", record.id),
                );
            }
            self.find(
                P::Authority,
                format!("record {} did not follow the rules", record.id),
            );
        }
        Ok(())
    }

    /// Rendered again, it is the same answer, byte for byte.
    fn check_answer(&mut self, record: &Record, act: &Act, verdict: &Verdict) {
        let books = self.state.books(&record.economy).map(|books| &**books);
        // The books are sealed by now; the answer was rendered a moment before, and may not say so.
        let rendered = (self.render)(&Recorded {
            economy: &record.economy,
            books,
            seq: record.seq,
            recorded_at: record.recorded_at,
            act,
            verdict,
        });
        if rendered.status != record.status || rendered.body.as_bytes() != &record.answer[..] {
            let what = format!(
                "the answer in record {} is not what it stands for",
                record.id
            );
            self.find(P::ExactlyOnce, what);
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
            Violation::BelowFloor { account, .. } | Violation::AboveCeiling { account, .. } => {
                let place = (economy.clone(), account);
                match self.limits_set.get(&place) {
                    // The movements themselves were decided again; only new limits can explain it.
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
            Violation::OutOfRange { .. }
            | Violation::OverHeld { .. }
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

    fn report(mut self) -> AuditReport {
        let checked = self.describe();
        let promises: Vec<Promise> = NAMES
            .iter()
            .zip(checked)
            .zip(1_u8..)
            .map(|((name, checked), number)| {
                let mut findings = self.findings.remove(&number).unwrap_or_default();
                let ok = findings.is_empty();
                if findings.len() > FINDINGS_MAX {
                    let more = findings.len() - FINDINGS_MAX;
                    findings.truncate(FINDINGS_MAX);
                    findings.push(format!("and {more} more"));
                }
                Promise {
                    number,
                    name: (*name).into(),
                    ok,
                    checked,
                    findings,
                }
            })
            .collect();
        let heads = self
            .state
            .economies
            .iter()
            .map(|(economy, books)| EconomyHead {
                economy: economy.clone(),
                seq: books.seq(),
                head: books.head(),
            });
        AuditReport {
            ok: promises.iter().all(|promise| promise.ok),
            records: self.state.record,
            movements: self.counts.movements,
            promises,
            economies: heads.collect(),
            outside: self.outside,
        }
    }

    fn describe(&self) -> [String; 10] {
        let Counts {
            movements,
            keyed,
            calls,
            facts,
            draws,
            harmless,
            decided,
        } = self.counts;
        let records = self.state.record;
        let economies = self.state.economies.len();
        let books = || self.state.economies.values();
        let accounts: usize = books().map(|books| books.accounts().len()).sum();
        let assets: usize = books().map(|books| books.assets().len()).sum();
        let checkpoint = self.checkpoint_met.map_or_else(
            || "no checkpoint yet".into(),
            |at| format!("checkpoint at record {at}"),
        );
        [
            format!("{assets} assets in {economies} economies sum to zero"),
            format!("{movements} movements, {accounts} accounts"),
            format!("{keyed} keys lead to {keyed} answers, byte for byte"),
            format!("{records} records in order, none with half its effects"),
            format!("state rebuilt from record 1, {checkpoint}, pages sound"),
            format!("{decided} records decided again by the same rules"),
            format!("{calls} calls, {facts} things asked and told, repeated against the books"),
            format!("{draws} draws made again"),
            format!("{harmless} faults and refused requests of plugins left no trace"),
            format!("{records} hashes follow from their predecessors"),
        ]
    }
}

//! The report of an audit: the promises by number, the counts and the findings.

use std::sync::Arc;

use bursar_ledger::{Books, Digest, EconomyId};
use serde::Serialize;

use super::Auditor;
use crate::state::State;
use crate::time::clock::ClockView;

/// The maximum number of findings in full per promise. Further ones are only counted.
const FINDINGS_MAX: usize = 20;

/// The report of an audit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuditReport {
    /// True if every promise holds.
    pub ok: bool,
    /// The number of checked records.
    pub records: u64,
    /// The number of checked movements.
    pub movements: u64,
    /// The promises, in the order of `docs/promises.md`.
    pub promises: Vec<Promise>,
    /// The economies, each with the hash that covers all its records.
    pub economies: Vec<EconomyHead>,
    /// Accounts outside their limits because an operator changed the limits or forced a reversal.
    pub outside: Vec<LimitBreach>,
    /// The clock of the file and that of the machine, if known. This is no promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockView>,
    /// The given heads and the records that have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<FoundHead>,
    /// Risks that the audit cannot rule out, although every promise holds for the contents of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// A promise and the result of its check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Promise {
    /// The number in `docs/promises.md`.
    pub number: u8,
    /// The name.
    pub name: String,
    /// True if it holds.
    pub ok: bool,
    /// The extent of the check.
    pub checked: String,
    /// The findings, at most 20 in full.
    pub findings: Vec<String>,
}

/// The head of an economy's journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EconomyHead {
    /// The name.
    pub economy: EconomyId,
    /// The number of its records.
    pub seq: u64,
    /// The hash of its newest record, which covers all records before it.
    pub head: Digest,
}

/// A given head and the record that has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FoundHead {
    /// The economy that was given or found.
    pub economy: Option<EconomyId>,
    /// The hash.
    pub head: Digest,
    /// The record that has the hash, or `None`.
    pub seq: Option<u64>,
}

/// An account outside its limits, and the record that allowed it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimitBreach {
    /// The economy.
    pub economy: EconomyId,
    /// A description of the breach.
    pub what: String,
    /// The record that last changed the account's limits, or that was forced.
    pub explained_by_seq: u64,
}

/// The promises, as `docs/promises.md` numbers them.
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

/// The number of a promise.
#[derive(Clone, Copy)]
pub(super) enum P {
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

/// The counts of an audit.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) movements: u64,
    pub(super) keyed: u64,
    pub(super) calls: u64,
    pub(super) facts: u64,
    pub(super) draws: u64,
    pub(super) harmless: u64,
    pub(super) decided: u64,
    pub(super) components: u64,
}

/// Returns the heads of all economies of a state.
pub(crate) fn heads_of(state: &State) -> Vec<EconomyHead> {
    let head = |(economy, books): (&EconomyId, &Arc<Books>)| EconomyHead {
        economy: economy.clone(),
        seq: books.seq(),
        head: books.head(),
    };
    state.economies.iter().map(head).collect()
}

impl AuditReport {
    /// Adds a finding.
    pub(super) fn add(&mut self, promise: P, what: &str) {
        self.ok = false;
        let number = promise as u8;
        for promise in self.promises.iter_mut().filter(|it| it.number == number) {
            promise.ok = false;
            promise.findings.push(what.to_owned());
        }
    }
}

impl Auditor<'_> {
    /// Completes the report.
    pub(super) fn report(mut self) -> AuditReport {
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
        let found = self.heads.all();
        let heads = heads_of(&self.state);
        AuditReport {
            ok: promises.iter().all(|promise| promise.ok),
            records: self.state.record,
            movements: self.counts.movements,
            promises,
            economies: heads,
            outside: self.outside,
            clock: None,
            heads: found,
            caveats: Vec::new(),
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
            components,
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
        let pages = if self.pages_checked {
            "pages intact"
        } else {
            "pages not checked, because too much was written meanwhile: audit a backup of the file"
        };
        [
            format!("{assets} assets in {economies} economies sum to zero"),
            format!("{movements} movements, {accounts} accounts"),
            format!("{keyed} keys lead to {keyed} answers, byte for byte"),
            format!("{records} records in order, each with all of its effects"),
            format!(
                "state rebuilt from record 1, {checkpoint}, {components} components intact, \
                 {pages}"
            ),
            format!("{decided} decisions repeated with the same result"),
            format!("{calls} calls with {facts} exchanges repeated against the books"),
            format!("{draws} draws repeated"),
            format!("{harmless} faults and rejected calls of plugins without effect"),
            format!("{records} hashes follow from their predecessors"),
        ]
    }
}

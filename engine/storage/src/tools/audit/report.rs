//! The report of an audit: the promises by number, the counts and the findings.

use std::sync::Arc;

use bursar_ledger::{Books, Digest, EconomyId};
use serde::Serialize;

use crate::state::State;
use crate::time::clock::ClockView;

/// The maximum number of findings in full per promise. Further ones are only counted.
pub(super) const FINDINGS_MAX: usize = 20;

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
    /// The clock of the file and that of the machine, if known. This is not a promise.
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

/// The head of an economy's log.
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
pub(super) const NAMES: [&str; 10] = [
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

//! What an audit says: the promises by number, what was counted, what was found.

use std::sync::Arc;

use bursar_ledger::{Books, Digest, EconomyId};
use serde::Serialize;

use super::Auditor;
use crate::state::State;
use crate::time::clock::ClockView;

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
    /// The promises, in the order of `docs/promises.md`.
    pub promises: Vec<Promise>,
    /// The economies, with the hash that covers all their records.
    pub economies: Vec<EconomyHead>,
    /// Accounts outside their limits because an operator changed the limits or forced a reversal.
    pub outside: Vec<LimitBreach>,
    /// The time of the file beside that of the machine, where it is known. It is no promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockView>,
    /// The heads that were looked for, and where they were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<FoundHead>,
    /// What the audit cannot rule out in this file, though every promise holds for what is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// One promise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Promise {
    /// Its number in `docs/promises.md`.
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

/// A head that was seen before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FoundHead {
    /// Whose it is said to be, or was found to be.
    pub economy: Option<EconomyId>,
    /// The hash.
    pub head: Digest,
    /// The record that has it; none if there is none.
    pub seq: Option<u64>,
}

/// An account outside its limits, and why that may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimitBreach {
    /// Whose books.
    pub economy: EconomyId,
    /// How it is outside.
    pub what: String,
    /// The record that last changed the account's limits, or was forced on it.
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

/// A promise by its number.
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

/// What has been counted on the way.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) movements: u64,
    pub(super) keyed: u64,
    pub(super) subjects: u64,
    pub(super) calls: u64,
    pub(super) facts: u64,
    pub(super) draws: u64,
    pub(super) harmless: u64,
    pub(super) decided: u64,
    pub(super) components: u64,
}

/// The economies of a state, and where their journals end in it.
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

impl Auditor {
    /// All of it, once everything is checked.
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
        let found = self.heads.found();
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
            subjects: _,
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
            "pages sound"
        } else {
            "pages not looked at, since too much was written meanwhile: audit a backup of the file"
        };
        [
            format!("{assets} assets in {economies} economies sum to zero"),
            format!("{movements} movements, {accounts} accounts"),
            format!("{keyed} keys lead to {keyed} answers, byte for byte"),
            format!("{records} records in order, none with half its effects"),
            format!(
                "state rebuilt from record 1, {checkpoint}, {components} components whole, \
                 {pages}"
            ),
            format!("{decided} records decided again by the same rules"),
            format!("{calls} calls, {facts} things asked and told, repeated against the books"),
            format!("{draws} draws made again"),
            format!("{harmless} faults and refused requests of plugins left no trace"),
            format!("{records} hashes follow from their predecessors"),
        ]
    }
}

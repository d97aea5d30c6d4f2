//! The conclusion of an audit: the comparison with heads that were seen before, and the report.

use super::auditor::Auditor;
use super::report::{AuditReport, Counts, FINDINGS_MAX, FoundHead, NAMES, P, Promise, heads_of};

impl Auditor<'_> {
    /// Describes each head that no record has.
    pub(super) fn check_heads(&mut self) {
        for FoundHead { economy, head, .. } in self.heads.all().iter().filter(|it| it.seq.is_none())
        {
            let whose = economy
                .as_ref()
                .map_or_else(|| "any economy".into(), |it| format!("`{it}`"));
            let what = format!(
                "no record of {whose} has the hash {head}, which was reported before: \
                 records were removed, or all of them were rewritten"
            );
            self.find(P::Explainable, what);
        }
    }

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

//! The audit of the books after the last record: the invariants of the ledger.

use bursar_ledger::{AssetId, AssetKind, Books, EconomyId, Violation, check};

use super::auditor::Auditor;
use super::report::{LimitBreach, P};

impl Auditor<'_> {
    /// Checks the invariants of all books.
    pub(super) fn check_books(&mut self) {
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
            // Items have no credit, and no admin can take them below zero.
            Violation::BelowFloor { ref asset, .. } if is_item(books, asset) => {
                self.find(P::Limits, what);
            }
            Violation::BelowFloor { account, asset, .. }
            | Violation::AboveCeiling { account, asset, .. }
            | Violation::OverHeld { account, asset, .. } => {
                let place = (economy.clone(), account, asset);
                match self.limits_set.get(&place) {
                    // The movements were decided again. So only a change of limits, or a forced reversal,
                    // explains a balance beyond them.
                    Some(seq) if books.account(&place.1).is_some() => {
                        let economy = economy.clone();
                        let explained_by_seq = *seq;
                        self.outside.push(LimitBreach {
                            economy,
                            what,
                            explained_by_seq,
                        });
                    }
                    Some(_) | None => self.find(P::Limits, what),
                }
            }
            Violation::ForeignIssuer { .. } | Violation::NameOfAnother { .. } => {
                self.find(P::Authority, what);
            }
            Violation::LooseReversal { .. } => self.find(P::Explainable, what),
            Violation::OutOfRange { .. }
            | Violation::CreditOnItem { .. }
            | Violation::AccountMisnumbered { .. }
            | Violation::AssetMisnumbered { .. }
            | Violation::AccountNumbersMiscounted { .. }
            | Violation::AssetNumbersMiscounted { .. }
            | Violation::LimitWithoutBalance { .. }
            | Violation::HeldMiscounted { .. }
            | Violation::ClosedWithHolds { .. }
            | Violation::SwitchedOffAndOn { .. }
            | Violation::UsageMiscounted { .. }
            | Violation::StateMiscounted { .. } => self.find(P::Limits, what),
        }
    }
}

fn is_item(books: &Books, asset: &AssetId) -> bool {
    let found = books.asset(asset);
    found.is_some_and(|found| found.kind == AssetKind::Item)
}

//! Budgets: what a plugin may take of a member and issue in a day (of UTC). They are counted where calls
//! commit, and no call runs again because of them.

use std::collections::BTreeMap;

use super::Draft;
use crate::decision::Change;
use crate::economy::Day;
use crate::id::AssetId;
use crate::plugin::Caps;
use crate::proposal::Step;
use crate::quota::Quota;
use crate::rejection::Rejection;

impl Draft {
    pub(super) fn check_budgets(&self) -> Result<(), Rejection> {
        let day = Day::of(self.at);
        let (books, plugin, caller) = (&self.books, &self.call.plugin, &self.call.caller);
        let grants = &self.plugin.installation.grants;
        if let Some(caps) = &grants.spend_per_member_per_day {
            let before = |asset: &AssetId| books.spent_on(day, plugin, caller, asset);
            self.check_caps("spend_per_member_per_day", caps, &self.spent, before)?;
            let counter = |asset: &AssetId| (plugin.clone(), caller.clone(), asset.clone());
            let is_fresh = |asset: &&AssetId| !books.counts_spend(day, &counter(asset));
            let fresh = self.spent.keys().filter(is_fresh).count();
            books.check_more(Quota::BudgetCounters, books.spends_on(day), fresh)?;
        }
        if let Some(caps) = &grants.issue_per_day {
            let before = |asset: &AssetId| books.issued_on(day, plugin, asset);
            self.check_caps("issue_per_day", caps, &self.issued(), before)?;
        }
        Ok(())
    }

    fn check_caps(
        &self,
        budget: &'static str,
        caps: &Caps,
        more: &BTreeMap<AssetId, u64>,
        before: impl Fn(&AssetId) -> u64,
    ) -> Result<(), Rejection> {
        for (asset, amount) in more {
            let most = caps.get(asset).copied().unwrap_or_default();
            let asked = before(asset).saturating_add(*amount);
            if asked > most.get() {
                return Err(Rejection::BudgetExceeded {
                    plugin: self.call.plugin.clone(),
                    budget: budget.into(),
                    asset: asset.clone(),
                    most,
                    asked,
                });
            }
        }
        Ok(())
    }

    /// What the call issues.
    fn issued(&self) -> BTreeMap<AssetId, u64> {
        let mut issued = BTreeMap::new();
        for step in &self.steps {
            if let Step::Post(posting) = step
                && posting.source.is_issuer()
            {
                let sum = issued.entry(posting.asset.clone()).or_insert(0_u64);
                *sum = sum.saturating_add(posting.amount.get());
            }
        }
        issued
    }

    /// What the call uses up of the member's budget. What is issued is counted with all that is.
    pub(crate) fn budgets_spent(&self) -> Vec<Change> {
        if self
            .plugin
            .installation
            .grants
            .spend_per_member_per_day
            .is_none()
        {
            return Vec::new();
        }
        let spent = self
            .spent
            .iter()
            .map(|(asset, amount)| Change::BudgetSpent {
                plugin: self.call.plugin.clone(),
                account: self.call.caller.clone(),
                asset: asset.clone(),
                day: Day::of(self.at),
                amount: *amount,
            });
        spent.collect()
    }
}

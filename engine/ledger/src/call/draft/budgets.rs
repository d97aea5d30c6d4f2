//! Budgets: the most that a plugin may take from members, issue, and debit by patterns.
//!
//! Budgets are checked and counted when a call commits. A call does not read them, so it is not repeated
//! because another call has used a budget.

use std::collections::BTreeMap;

use super::Draft;
use crate::call::proposal::Step;
use crate::decision::Change;
use crate::economy::Day;
use crate::id::{AccountId, AssetId};
use crate::plugin::account_pattern::AccountPattern;
use crate::plugin::budget::{Budget, BudgetCounter, Payer};
use crate::plugin::grants::{Caps, PatternCaps};
use crate::quota::Quota;
use crate::rejection::Rejection;

/// A budget with the accounts that it counts.
#[derive(Clone, Copy)]
struct BudgetUse<'a> {
    budget: Budget,
    accounts: Option<&'a AccountPattern>,
    account: Option<&'a AccountId>,
}

impl<'a> BudgetUse<'a> {
    /// Creates the use of a budget that has no pattern.
    fn of_all(budget: Budget) -> Self {
        Self {
            budget,
            accounts: None,
            account: None,
        }
    }

    /// Creates the use of a budget of a pattern.
    fn by(accounts: &'a AccountPattern, budget: Budget) -> Self {
        Self {
            accounts: Some(accounts),
            ..Self::of_all(budget)
        }
    }
}

impl Draft {
    pub(super) fn check_budgets(&self) -> Result<(), Rejection> {
        let day = Day::of(self.at);
        let (books, plugin) = (&self.books, &self.call.plugin);
        let grants = &self.plugin.installation.grants;
        if let Some(caps) = &grants.spend_per_member_per_day {
            let counted = BudgetUse::of_all(Budget::SpendPerMemberPerDay);
            let caller = Payer::Caller(self.call.caller.clone());
            for (asset, amount) in &self.spent {
                let before = self.spent_before(day, &caller, asset);
                self.check_cap(counted, caps, asset, before.saturating_add(*amount))?;
            }
        }
        if let Some(caps) = &grants.issue_per_day {
            let counted = BudgetUse::of_all(Budget::IssuePerDay);
            for (asset, amount) in self.issued() {
                let before = books.issued_on(day, plugin, &asset);
                self.check_cap(counted, caps, &asset, before.saturating_add(amount))?;
            }
        }
        for grant in grants.patterns.as_slice() {
            if let Some(caps) = &grant.debit {
                self.check_pattern(day, &grant.accounts, caps)?;
            }
        }
        let fresh = self.counted().into_iter();
        let fresh = fresh.filter(|(counter, _)| !books.counts_spend(day, counter));
        books.check_more(Quota::BudgetCounters, books.spends_on(day), fresh.count())
    }

    /// Checks the caps of one pattern. Amounts that are paid back count in full, so that a payment after a
    /// draw cannot change whether the call commits.
    fn check_pattern(
        &self,
        day: Day,
        accounts: &AccountPattern,
        caps: &PatternCaps,
    ) -> Result<(), Rejection> {
        let together = self.drawn_by(accounts);
        for (asset, sum) in &together {
            let counted = BudgetUse::by(accounts, Budget::PatternPerCall);
            self.check_cap(counted, &caps.per_call, asset, *sum)?;
        }
        let of_pattern = self.drawn.iter();
        let of_pattern = of_pattern.filter(|((account, _), _)| accounts.matches(account));
        for ((account, asset), amount) in of_pattern {
            let before = self.spent_before(day, &Payer::Account(account.clone()), asset);
            let counted = BudgetUse {
                account: Some(account),
                ..BudgetUse::by(accounts, Budget::PatternPerMemberPerDay)
            };
            let asked = before.saturating_add(*amount);
            self.check_cap(counted, &caps.per_member_per_day, asset, asked)?;
        }
        let payer = Payer::Pattern(accounts.clone());
        for (asset, sum) in &together {
            let before = self.spent_before(day, &payer, asset);
            let counted = BudgetUse::by(accounts, Budget::PatternPerDay);
            self.check_cap(counted, &caps.per_day, asset, before.saturating_add(*sum))?;
        }
        Ok(())
    }

    fn check_cap(
        &self,
        counted: BudgetUse<'_>,
        caps: &Caps,
        asset: &AssetId,
        asked: u64,
    ) -> Result<(), Rejection> {
        let most = caps.get(asset).copied().unwrap_or_default();
        if asked > most.get() {
            return Err(Rejection::BudgetExceeded {
                plugin: self.call.plugin.clone(),
                budget: counted.budget,
                accounts: counted.accounts.cloned(),
                account: counted.account.cloned(),
                asset: asset.clone(),
                most,
                asked,
            });
        }
        Ok(())
    }

    /// Returns the count of one of the plugin's budget counters before this call.
    fn spent_before(&self, day: Day, payer: &Payer, asset: &AssetId) -> u64 {
        let counter = self.counter(payer.clone(), asset);
        self.books.spent_on(day, &counter)
    }

    fn counter(&self, payer: Payer, asset: &AssetId) -> BudgetCounter {
        BudgetCounter {
            plugin: self.call.plugin.clone(),
            payer,
            asset: asset.clone(),
        }
    }

    /// Returns the amounts that the call debits from all accounts of a pattern together.
    fn drawn_by(&self, accounts: &AccountPattern) -> BTreeMap<AssetId, u64> {
        let mut together = BTreeMap::new();
        for ((account, asset), amount) in &self.drawn {
            if accounts.matches(account) {
                let sum = together.entry(asset.clone()).or_insert(0_u64);
                *sum = sum.saturating_add(*amount);
            }
        }
        together
    }

    /// Returns the amounts that the call issues.
    fn issued(&self) -> BTreeMap<AssetId, u64> {
        let mut issued = BTreeMap::new();
        for step in &self.steps {
            if let Step::Post(posting, _) = step
                && posting.source.is_issuer()
            {
                let sum = issued.entry(posting.asset.clone()).or_insert(0_u64);
                *sum = sum.saturating_add(posting.amount.get());
            }
        }
        issued
    }

    /// Returns the amounts that the call adds to budget counters. Issued amounts are counted as flows
    /// instead.
    fn counted(&self) -> Vec<(BudgetCounter, u64)> {
        let grants = &self.plugin.installation.grants;
        let mut counted = Vec::new();
        if grants.spend_per_member_per_day.is_some() {
            let caller = &self.call.caller;
            counted.extend(self.spent.iter().map(|(asset, amount)| {
                (self.counter(Payer::Caller(caller.clone()), asset), *amount)
            }));
        }
        counted.extend(self.drawn.iter().map(|((account, asset), amount)| {
            (
                self.counter(Payer::Account(account.clone()), asset),
                *amount,
            )
        }));
        let patterns = grants.patterns.as_slice().iter();
        for grant in patterns.filter(|grant| grant.debit.is_some()) {
            let together = self.drawn_by(&grant.accounts);
            counted.extend(together.into_iter().map(|(asset, sum)| {
                (
                    self.counter(Payer::Pattern(grant.accounts.clone()), &asset),
                    sum,
                )
            }));
        }
        counted
    }

    /// Returns the changes of budget counters.
    pub(crate) fn budgets_spent(&self) -> Vec<Change> {
        let day = Day::of(self.at);
        let spent = self.counted().into_iter();
        let spent = spent.map(|(counter, amount)| Change::BudgetSpent {
            counter,
            day,
            amount,
        });
        spent.collect()
    }
}
